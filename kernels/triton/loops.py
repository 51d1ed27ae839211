"""Which loop kernel executes a pass, and what goes into each of its arguments, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ..passes import Pass
from .ahead import ahead_one_product, ahead_two_products
from .back import back_one_product, back_two_products

WEIGHT = "weight_hh"

#: The carried name that enters a step tells the passes apart.
_PASSES = {"h_prev": "forward", "d_h_new_carried": "backward", "tangent_h_prev": "tangent"}
_ONE_PRODUCT = {"forward": ahead_one_product, "tangent": ahead_one_product, "backward": back_one_product}
_TWO_PRODUCTS = {"forward": ahead_two_products, "tangent": ahead_two_products, "backward": back_two_products}
#: Names of what a kernel stores at every step, under the kernel's names for it.
_STORED = {
    "forward": {"states": "h_new"},
    "tangent": {"states": "tangent_h_new"},
    "backward": {"cotangents": "d_h_new", "reset_state_cotangents": "d_reset_state"},
}


@dataclass(frozen=True)
class Loop:
    """A kernel and its arguments, in names of values.

    Attributes:
        kernel: The loop.
        entering, leaving: Names of the carried value before the first and after the last step.
        tuples: Kernel argument -> names of the values whose pointers it takes.
        stored: Kernel argument -> name of the value that it stores at every step.
        constants: Kernel argument -> value, the emitted stages among them.
    """

    kernel: Any
    entering: str
    leaving: str
    tuples: Mapping[str, tuple[str, ...]]
    stored: Mapping[str, str]
    constants: Mapping[str, Any]


def loop_of(pass_: Pass, stages: ModuleType) -> Loop:
    """The loop kernel of a pass over time and its arguments.

    Args:
        pass_: A pass of `symgru.kernels.generated.torch_*`.
        stages: The module `symgru.kernels.generated.triton_*` of the same cell.
    Raises:
        ValueError: the pass carries or stores what no loop here does, or the stages are of another pass.
    """
    if len(pass_.carry) != 1 or pass_.carry[0][0] not in _PASSES:
        raise ValueError(f"expected a pass that carries one of {', '.join(_PASSES)}, got {pass_.carry}")
    ((entering, leaving),) = pass_.carry
    name = _PASSES[entering]
    numbered = {n: getattr(stages, f"{name}_stage_{n}", None) for n in range(3)}
    found = {n: stage for n, stage in numbered.items() if stage is not None}
    kernel = (_TWO_PRODUCTS if 2 in found else _ONE_PRODUCT)[name]
    tuples, constants = {}, {}
    for n, stage in found.items():
        tuples |= _loaded(n, stage, pass_)
        constants[f"STAGE_{n}"] = stage
    if "TANGENT" in kernel.arg_names:
        constants["TANGENT"] = name == "tangent"
    if "parameters" not in kernel.arg_names and tuples.pop("parameters", ()) != ():
        raise ValueError(f"{kernel.__name__} has no room for the parameters that {stages.__name__} reads")
    stored = {argument: value for argument, value in _STORED[name].items() if argument in kernel.arg_names}
    _check_complete(kernel, stages, pass_, tuples, stored)
    return Loop(kernel, entering, leaving, tuples, stored, constants)


def _loaded(number: int, stage: Any, pass_: Pass) -> dict[str, tuple[str, ...]]:
    """What a stage reads from memory: its first arguments, sequences before parameters."""
    names = tuple(stage.arg_names)
    sequences = tuple(a for a in names if a in pass_.sequences)
    parameters = tuple(a for a in names if a in pass_.parameters)
    if names[: len(sequences) + len(parameters)] != sequences + parameters:
        raise ValueError(
            f"{stage.__name__}: expected sequences, parameters, computed values, got {', '.join(names)}"
        )
    loaded = {f"sequences_{number}": sequences}
    return loaded | {"parameters": parameters} if parameters or number == 1 else loaded


def _check_complete(
    kernel: Any,
    stages: ModuleType,
    pass_: Pass,
    tuples: Mapping[str, tuple[str, ...]],
    stored: Mapping[str, str],
) -> None:
    """Everything that the pass reads and stores has its place in the kernel."""
    read = {name for names in tuples.values() for name in names} | {WEIGHT}
    wanted = {*pass_.sequences, *pass_.parameters}
    if read != wanted:
        raise ValueError(f"{stages.__name__} reads {sorted(read)}, but the pass hands over {sorted(wanted)}")
    if set(stored.values()) != set(pass_.stored):
        raise ValueError(
            f"{kernel.__name__} stores {sorted(stored.values())}, but the pass wants {pass_.stored}"
        )
