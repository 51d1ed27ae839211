"""The plans of the CPU's library on drawn problems, and what the oracle says of them.

A problem is one layer in one direction: rows of examples at steps, as the library has them, in numbers that
tell models apart. The oracle walks the statements of the cell (with lengths, where steps differ in their
rows; with resets, where sequences begin inside) in float64, on padded sequences.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from symgru.equations import RESTART, VALID, Polarity, Reset, gru, with_lengths, with_resets
from symgru.kernels.cpu.passes import Plan, Steps, dense, packed
from symgru.testing.loops import Differentiable
from symgru.testing.tolerances import assert_close

Array = np.ndarray[Any, np.dtype[Any]]
Tensors = dict[str, torch.Tensor]
Plans = Mapping[str, Plan]

PASSES = ("forward", "backward", "tangent", "forward_saving", "backward_saved")
GATES = ("r", "z", "n")
#: What a call may lack: it is zero then.
OPTIONAL = ("bias_ih", "bias_hh", "h_prev", "d_h_new_carried")
OPTIONAL_TANGENTS = ("tangent_bias_ih", "tangent_bias_hh", "tangent_h_prev")
#: What a call may not want.
DISPENSABLE = (
    "h_new_last", "tangent_h_new_last", "d_x", "d_h_prev_last",
    "d_weight_ih", "d_weight_hh", "d_bias_ih", "d_bias_hh",
)  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """A layer and its input.

    Attributes:
        polarity, reset: The cell.
        batch_sizes: The rows of each step; they never become more.
        input_size, hidden_size: I and H.
        reverse: Whether the layer runs against time.
        absent: Inputs that the calls lack.
        dtype: Of all tensors.
        seed: Of the values.
        as_packed: Whether the calls are those of a packed sequence though all steps have the same rows.
        resets: Whether sequences begin at some steps, one in three: then "resets" is among the inputs.
    """

    polarity: str
    reset: str
    batch_sizes: tuple[int, ...]
    input_size: int
    hidden_size: int
    reverse: bool = False
    absent: frozenset[str] = frozenset()
    dtype: torch.dtype = torch.float64
    seed: int = 0
    as_packed: bool = False
    resets: bool = False

    @property
    def even(self) -> bool:
        """Whether all steps have the same rows."""
        return self.batch_sizes[0] == self.batch_sizes[-1]

    @property
    def steps(self) -> Steps:
        """As a call takes them."""
        batch = self.batch_sizes[0]
        dense_ = self.even and not self.as_packed
        return dense(len(self.batch_sizes), batch) if dense_ else packed(self.batch_sizes)

    @property
    def sizes(self) -> tuple[tuple[str, int], ...]:
        """Lengths of the axes."""
        return (("I", self.input_size), ("H", self.hidden_size))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every tensor that a plan may ask for, but for what is saved."""
        rows, batch, H = sum(self.batch_sizes), self.batch_sizes[0], self.hidden_size
        base = {
            "x": (rows, self.input_size),
            "h_prev": (batch, H),
            "weight_ih": (3 * H, self.input_size),
            "weight_hh": (3 * H, H),
            "bias_ih": (3 * H,),
            "bias_hh": (3 * H,),
            "h_new": (rows, H),
            "h_new_last": (batch, H),
        }
        derived = {f"{prefix}{name}": shape for prefix in ("d_", "tangent_") for name, shape in base.items()}
        more = {"d_h_new_output": (rows, H), "d_h_new_carried": (batch, H), "d_h_prev_last": (batch, H)}
        return base | derived | more

    def inputs(self) -> Tensors:
        """All inputs of all plans but states and saved values: none is zero, no two are alike."""
        generator = torch.Generator().manual_seed(self.seed)
        values = {}
        for name, shape in self.shapes().items():
            tangent = name.startswith("tangent_")
            if name in ("d_h_new_output", "d_h_new_carried") or (tangent and "h_new" not in name):
                scale = 1.0
            elif name in ("x", "h_prev"):
                scale = 0.7
            elif name.startswith(("weight", "bias")):
                scale = 0.8 / shape[-1] ** 0.5 if len(shape) == 2 else 0.5
            else:
                continue
            drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
            values[name] = (scale * drawn).to(self.dtype)
        if self.resets:
            values["resets"] = torch.rand(sum(self.batch_sizes), generator=generator) < 1 / 3
        return {name: value for name, value in values.items() if name not in self.absent}


@contextmanager
def team(threads: int) -> Iterator[None]:
    """PyTorch, and so the library, uses so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def huge_numbers_in_fresh_memory() -> Iterator[None]:
    """Fresh memory of the C library is full of 3e38 (1e306 as doubles): to read it before writing is seen."""
    perturb = -6  # M_PERTURB of the GNU C library
    libc = ctypes.CDLL(None)
    libc.mallopt(perturb, 0x80)
    try:
        yield
    finally:
        libc.mallopt(perturb, 0)


def run(
    plans: Plans,
    problem: Problem,
    threads: int = 1,
    unwanted: frozenset[str] = frozenset(),
    packed_before: bool = False,
    inputs: Tensors | None = None,
    passes: tuple[str, ...] = PASSES,
) -> Tensors:
    """The results of the passes, named "pass result"; what nobody wrote is NaN.

    Each backward pass and the tangent read what the forward pass before them gave.

    Args:
        plans: The library's.
        problem: What is computed.
        threads: Of the team.
        unwanted: Results that the calls do not want.
        packed_before: Whether the matrices are packed once, by `Plan.pack`.
        inputs: In place of the problem's own.
        passes: Which ones.
    """
    values: Tensors = dict(problem.inputs() if inputs is None else inputs)
    steps = replace(problem.steps, resets=values.pop("resets", None))
    shapes, results = problem.shapes(), {}
    for name in passes:
        plan = plans[f"gru_{problem.polarity}_{problem.reset}_{name}"]
        given: dict[str, torch.Tensor | None] = {}
        for argument, (kind, _) in plan.arguments.items():
            if kind == "saved" and name == "forward_saving":
                shape: tuple[int, ...] = (plan.saved, *shapes["h_new"])
            elif argument in values:
                given[argument] = values[argument]
                continue
            elif argument in problem.absent or argument in unwanted:
                continue
            else:
                shape = shapes[argument]
            given[argument] = torch.full(shape, float("nan"), dtype=problem.dtype)
            results[f"{name} {argument}"] = given[argument]
        with team(threads):
            packed = plan.pack(given, problem.sizes, problem.dtype) if packed_before else None
            plan(given, problem.sizes, steps, problem.dtype, problem.reverse, packed)
        values |= {n: v for n in ("h_new", "saved") if (v := results.get(f"{name} {n}")) is not None}
        if name == "tangent":
            values.pop("h_new", None)  # the next pass computes its own
    return {name: value for name, value in results.items() if value is not None}


class Oracle:
    """What the equations give for a problem, in float64.

    Args:
        problem: Its values, rounded to its dtype, are what counts.
        inputs: In place of them.
    """

    def __init__(self, problem: Problem, inputs: Tensors | None = None):
        self._problem = problem
        cell = gru(Polarity(problem.polarity), Reset(problem.reset))
        cell = cell if problem.even else with_lengths(cell)
        self._loop = Differentiable(with_resets(cell, shared=True) if problem.resets else cell)
        self._values = {
            n: v.double().numpy() for n, v in (problem.inputs() if inputs is None else inputs).items()
        }
        columns = np.arange(problem.batch_sizes[0])
        self._valid: Array = columns < np.array(problem.batch_sizes)[:, None]

    def results(self) -> Tensors:
        """By the names of the library, without the pass."""
        point = self._point("")
        if not self._problem.even:
            point[str(VALID)] = self._in_order(self._valid[..., None])
        if self._problem.resets:
            point[str(RESTART)] = self._restarts()
        states = self._loop.states(point)["h_new"]
        arriving = self._in_order(self._padded(self._values["d_h_new_output"]))
        arriving[-1] += self._values.get("d_h_new_carried", 0.0)
        gradients = self._loop.vjp(point, {"h_new": arriving})
        moved = self._loop.jvp(point, self._point("tangent_"))["h_new"]
        found = {
            "h_new": self._rows(states),
            "h_new_last": states[-1],
            "tangent_h_new": self._rows(moved),
            "tangent_h_new_last": moved[-1],
            "d_x": self._rows(gradients["x"]),
            "d_h_prev_last": gradients["h_prev"],
            "d_weight_ih": np.concatenate([gradients[f"W_{g}"] for g in GATES]),
            "d_weight_hh": np.concatenate([gradients[f"U_{g}"] for g in GATES]),
            "d_bias_ih": np.concatenate([gradients[f"b_{g}"] for g in GATES]),
            "d_bias_hh": np.concatenate([*(gradients[f"b_{g}"] for g in "rz"), self._last_bias(gradients)]),
        }
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in found.items()}

    def _last_bias(self, gradients: Mapping[str, Array]) -> Array:
        return gradients["c_n" if self._problem.reset == "after" else "b_n"]

    def _point(self, prefix: str) -> dict[str, Array]:
        """The inputs under the names of the equations, in the order in which the layer reads them."""
        shapes, problem = self._problem.shapes(), self._problem

        def value(name: str) -> Array:
            found = self._values.get(f"{prefix}{name}")
            return np.zeros(shapes[name]) if found is None else found

        point = {"x": self._in_order(self._padded(value("x"))), "h_prev": value("h_prev")}
        if problem.resets:
            point["h_prev_restart"] = np.zeros(problem.hidden_size)
        for letter, stack in (("W", "weight_ih"), ("U", "weight_hh")):
            point |= {f"{letter}_{g}": w for g, w in zip(GATES, np.split(value(stack), 3), strict=True)}
        first, second = (np.split(value(name), 3) for name in ("bias_ih", "bias_hh"))
        for gate, b, c in zip(GATES, first, second, strict=True):
            apart = gate == "n" and problem.reset == "after"
            point[f"b_{gate}"] = b if apart else b + c
            if apart:
                point["c_n"] = c
        return point

    def _restarts(self) -> Array:
        """[T, B, 1]: the steps, in the order of the layer, into which no state is carried.

        Against time, the layer reads the first step of a sequence last, and then the one before it.
        """
        begins = self._padded(self._values["resets"][:, None]) > 0
        if not self._problem.reverse:
            return begins
        return np.concatenate((np.zeros_like(begins[:1]), begins[:0:-1]))

    def _in_order(self, padded: Array) -> Array:
        return padded[::-1].copy() if self._problem.reverse else padded

    def _padded(self, rows: Array) -> Array:
        padded = np.zeros((*self._valid.shape, rows.shape[-1]))
        padded[self._valid] = rows
        return padded

    def _rows(self, padded: Array) -> Array:
        return self._in_order(padded)[self._valid]


def assert_agrees(problem: Problem, results: Tensors, expected: Tensors | None = None) -> None:
    """Every result is within the tolerance of its dtype, and inputs did not change.

    Raises:
        AssertionError: naming pass and result, see `symgru.testing.tolerances.assert_close`.
    """
    expected = Oracle(problem).results() if expected is None else expected
    for name, found in results.items():
        _, _, result = name.partition(" ")
        if result != "saved":
            assert_close(f"{name} of {problem}", found, expected[result])


def assert_digits_of_closed_gates(plans: Plans, problem: Problem, passes: tuple[str, ...] = PASSES) -> None:
    """Cotangents of gates near 0 and 1 have nearly all their digits, so σ(−a) is not computed as 1 − σ(a).

    Args:
        plans, passes: What computes; some passes with gradients.
        problem: A small one in float64; gates are opened and closed by their biases.
    Raises:
        AssertionError: naming pass and gate.
    """
    H = problem.hidden_size
    for shift in (30.0, -30.0):
        inputs = problem.inputs()
        inputs["bias_ih"][: 2 * H] += shift
        expected = Oracle(problem, inputs).results()["d_bias_ih"]
        results = run(plans, problem, inputs=inputs, passes=passes)
        for name in [name for name in results if name.endswith("d_bias_ih")]:
            for gate, found, right in zip(GATES, results[name].view(3, H), expected.view(3, H), strict=True):
                error = float(((found - right) / right.abs().max()).abs().max())
                assert error <= 1e-12, (
                    f"{name} of gate {gate} with biases {shift:+}: relative error {error:.1e}"
                )
