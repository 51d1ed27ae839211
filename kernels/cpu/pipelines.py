"""Double backward: cotangents of all that the gradients of a layer depend on, from those of the gradients.

A pipeline runs plans one after the other; values go from one to the next by name, as
`kernels/generated/cpu_pipelines.py` describes:

    stages    each a plan; `reads`: for arguments the values that are added up, if not the one of the
              argument's name; `writes`: for its results the names of the values
    outputs   for each result the values that are added up
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

from torch import Tensor

from ..generated.cpu_pipelines import DOUBLE_BACKWARD
from .passes import Steps, plans

Values = dict[str, Tensor]
#: Results that every layer has; parameters may be missing.
_ALWAYS = frozenset({"x", "h_prev", "d_h_new", "d_h_new_last"})


@dataclass(frozen=True)
class _Tensor:
    """An argument that is made for a plan."""

    name: str
    kind: str
    axes: tuple[str, ...]


@dataclass(frozen=True)
class _Stage:
    """A plan, and its arguments but for those that are values of the same name.

    Attributes:
        plan: Its name.
        sums: Arguments that are sums of values; absent if of none.
        zeros: Arguments that have to be there, but are zero.
        results: Results, and the values that they become.
        absent: Results that nobody needs.
    """

    plan: str
    sums: Mapping[str, tuple[str, ...]]
    zeros: tuple[_Tensor, ...]
    results: tuple[tuple[_Tensor, str], ...]
    absent: tuple[str, ...]


def double_backward(
    cell: str,
    inputs: Mapping[str, Tensor | None],
    cotangents: Mapping[str, Tensor | None],
    steps: Steps,
    reverse: bool = False,
    wanted: Collection[str] | None = None,
) -> dict[str, Tensor]:
    """Reverse over reverse, for one layer in one direction.

    Args:
        cell: Name of the cell, as `gru_keep_after`.
        inputs: What the backward pass had, contiguous and of one dtype: x [rows, I], h_prev [B, H] the first
            state, weight_ih [3H, I], weight_hh [3H, H], bias_ih and bias_hh [3H]; d_h_new [rows, H] and
            d_h_new_last [B, H], the cotangents of the states and of the last one. Of the forward pass the
            states h_new [rows, H] and what it `saved` [.., rows, H]: it runs again if one is missing. If the
            backward pass was the plan backward_recording, its d_h_new_carried_trajectory [rows, H]: it runs
            again if that is missing. Others that are missing or None are zero.
        cotangents: Of the gradients of x, h_prev, weight_ih, weight_hh, bias_ih, bias_hh, by those names;
            missing or None: zero.
        steps: The rows of each step.
        reverse: Whether the layer runs against time.
        wanted: Which results; all if None.
    Returns:
        Cotangents of x, h_prev, weight_ih, weight_hh, bias_ih, bias_hh, d_h_new and d_h_new_last, by those
        names, each in the shape of its input; of parameters that are missing there is none.
    Raises:
        MemoryError: there is none for the scratch of a plan.
    """
    run = _Run({n: value for n, value in inputs.items() if value is not None}, steps, reverse)
    outer = {f"dd_d_{n}": value for n, value in cotangents.items() if value is not None}
    variant = "inputs" if outer.keys() <= {"dd_d_x", "dd_d_h_prev"} else "all"
    outputs = _described(cell, variant)["outputs"]
    asked = outputs.keys() & (run.values.keys() | _ALWAYS)
    asked = asked if wanted is None else asked & set(wanted)
    run.values |= outer
    if not run.values.keys() >= {"h_new", "saved"}:
        run.forward(f"{cell}_forward_saving")
    for stage in _stages(cell, variant, frozenset(asked), frozenset(run.values)):
        run.stage(stage)
    return {name: run.output(name, outputs[name]) for name in asked}


@lru_cache(maxsize=256)
def _stages(cell: str, variant: str, asked: frozenset[str], given: frozenset[str]) -> tuple[_Stage, ...]:
    """What has to run for the outputs that are asked for, where some values are given."""
    pipeline = _described(cell, variant)
    needed = {value for name in asked for value in pipeline["outputs"][name]} - given
    known = set(given)
    stages: list[tuple[str, list[str], dict[str, Any]]] = []
    for each in reversed(pipeline["stages"]):
        writes: dict[str, str] = each["writes"]
        if not needed & set(writes.values()):
            continue
        plan = plans()[f"{cell}_{each['plan']}"]
        made = [n for n in plan.arguments if n in writes]
        for name, (kind, _) in plan.arguments.items():
            dispensable = kind != "sequence" or name in plan.optional
            if name not in writes:
                needed |= set(each["reads"].get(name, (name,))) - given
            elif dispensable and writes[name] not in needed:
                made.remove(name)
        known |= {writes[name] for name in made}
        stages.append((plan.name, made, each))
    return tuple(_stage(name, made, each, known) for name, made, each in reversed(stages))


def _described(cell: str, variant: str) -> dict[str, Any]:
    pipelines: dict[str, Any] = DOUBLE_BACKWARD
    described: dict[str, Any] = pipelines[cell][variant]
    return described


def _stage(name: str, made: Collection[str], described: dict[str, Any], known: Collection[str]) -> _Stage:
    reads, writes = described["reads"], described["writes"]
    arguments = {n: _Tensor(n, kind, axes) for n, (kind, axes) in plans()[name].arguments.items()}
    terms = {n: tuple(v for v in reads.get(n, (n,)) if v in known) for n in arguments if n not in writes}
    zero = [n for n in terms if not terms[n] and arguments[n].kind in ("sequence", "matrix")]
    return _Stage(
        plan=name,
        sums={n: values for n, values in terms.items() if values != (n,) and n not in zero},
        zeros=tuple(arguments[n] for n in zero),
        results=tuple((arguments[n], writes[n]) for n in made),
        absent=tuple(n for n in arguments if n in writes and n not in made),
    )


class _Run:
    """The values of a call, by name."""

    def __init__(self, values: Values, steps: Steps, reverse: bool):
        self.values, self.steps, self.reverse, self.like = values, steps, reverse, values["x"]
        self.lengths = {"I": self.like.shape[-1], "H": values["weight_hh"].shape[-1]}
        self.sizes = tuple(self.lengths.items())

    def forward(self, name: str) -> None:
        """States and what is saved."""
        shape = self.steps.rows, self.lengths["H"]
        saved = self.like.new_empty(plans()[name].saved, *shape)
        self.values |= {"h_new": self.like.new_empty(shape), "saved": saved}
        self.call(name, self.values)

    def stage(self, stage: _Stage) -> None:
        """Run a plan; its results become values."""
        arguments: dict[str, Tensor | None] = {**self.values, **dict.fromkeys(stage.absent)}
        for name, terms in stage.sums.items():
            arguments[name] = reduce(Tensor.add, [self.values[v] for v in terms]) if terms else None
        for zero in stage.zeros:
            arguments[zero.name] = self.like.new_zeros(self.shape(zero))
        for result, value in stage.results:
            # a plan may fill some blocks of a bias alone
            make = self.like.new_zeros if result.kind == "d_vector" else self.like.new_empty
            arguments[result.name] = self.values[value] = make(self.shape(result))
        self.call(stage.plan, arguments)

    def call(self, name: str, arguments: Mapping[str, Tensor | None]) -> None:
        plans()[name](arguments, self.sizes, self.steps, self.like.dtype, self.reverse)

    def shape(self, tensor: _Tensor) -> Sequence[int]:
        if tensor.kind == "sequence":
            return self.steps.rows, self.lengths[tensor.axes[0]]
        if tensor.kind == "last":
            return self.steps.batch, self.lengths[tensor.axes[0]]
        return self.values[tensor.name.removeprefix("dd_").removeprefix("d_")].shape  # as the parameter

    def output(self, name: str, terms: Sequence[str]) -> Tensor:
        """The sum of some values, which nobody else has, in the shape of the input of that name."""
        total = reduce(Tensor.add_, [self.values[value] for value in terms])
        return total.view(self.values[name].shape) if name in self.values else total
