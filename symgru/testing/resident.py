"""The resident Triton loops against the plain loop: cases, their check, and planted errors.

A `Case` is a pass of an emitted cell with sizes, a storage dtype and the seed of its values. `assert_agrees`
runs it wherever Triton's kernels run: in the interpreter, on a simulated GPU, on a GPU.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.utils import deterministic

from symgru.kernels import scan as plain
from symgru.kernels.names import PRECISIONS
from symgru.kernels.passes import Pass
from symgru.kernels.scan import last
from symgru.kernels.tensor_ops import compute_dtype
from symgru.kernels.triton import ahead, back, loops
from symgru.kernels.triton.scan import scan
from symgru.testing.tolerances import TF32, assert_close

RESETS = ("after", "before", "whole")
CELLS = tuple(f"{p}_{r}{s}" for p in ("keep", "update") for r in RESETS for s in ("", "_lengths"))
PASSES = ("forward", "backward", "tangent")
INPUT_SIZE = 3
#: Both sides of 16 and 32, where tiles end.
HIDDEN_SIZES = (1, 2, 5, 15, 16, 17, 31, 32, 33)
#: The same of the rows of a tile.
BATCHES = (1, 2, 3, 15, 16, 17)


@contextmanager
def nan_in_fresh_memory() -> Iterator[None]:
    """Memory that nobody wrote holds NaN, so what a kernel forgets to write is found."""
    fill: Any = deterministic  # whose switch is an attribute that torch adds when it runs
    before = torch.are_deterministic_algorithms_enabled(), fill.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    fill.fill_uninitialized_memory = True
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        fill.fill_uninitialized_memory = before[1]


@dataclass(frozen=True)
class Case:
    """One pass of one cell: sizes, storage dtype, the seed of its values, precision of float32 products."""

    cell: str
    pass_: str
    G: int = 2
    T: int = 4
    B: int = 3
    H: int = 5
    storage: torch.dtype = torch.float64
    seed: int = 0
    precision: str = "ieee"

    def emitted(self) -> tuple[Pass, ModuleType]:
        """The pass in tensor operations, and the stages that the loops call."""
        torch_module, stages = (
            importlib.import_module(f"symgru.kernels.generated.{kind}_gru_{self.cell}")
            for kind in ("torch", "triton")
        )
        return getattr(torch_module, self.pass_.upper()), stages

    @property
    def tf32(self) -> bool:
        """Whether the products are in TF32."""
        return self.storage is torch.float32 and self.precision == "tf32"


def cases(
    storages: tuple[torch.dtype, ...],
    hidden_sizes: tuple[int, ...] = HIDDEN_SIZES,
    precisions: tuple[str, ...] = PRECISIONS[:1],
) -> st.SearchStrategy[Case]:
    """Any cell and pass, sizes on both sides of where tiles end."""
    return st.builds(
        Case,
        cell=st.sampled_from(CELLS),
        pass_=st.sampled_from(PASSES),
        G=st.integers(1, 3),
        T=st.integers(1, 5),
        B=st.sampled_from(BATCHES),
        H=st.sampled_from(hidden_sizes),
        storage=st.sampled_from(storages),
        seed=st.integers(0, 2**31),
        precision=st.sampled_from(precisions),
    )


def values_of(case: Case, device: torch.device) -> dict[str, Tensor]:
    """What the inside of the pass reads, [G, …]: drawn inputs, and what the phase before makes of them."""
    pass_, _ = case.emitted()
    generator = torch.Generator().manual_seed(case.seed)
    groups = [_of_group(case, pass_, generator) for _ in range(case.G)]
    ((entering, _),) = pass_.carry
    names = (entering, *pass_.sequences, *pass_.parameters)
    values = {name: torch.stack([group[name] for group in groups]).to(device) for name in names}
    compute = compute_dtype(case.storage)
    rounded = {n: v if v.dtype is torch.bool else v.to(compute) for n, v in values.items()}
    return rounded | {"weight_hh": values["weight_hh"].to(case.storage)}


def _of_group(case: Case, pass_: Pass, generator: torch.Generator) -> dict[str, Tensor]:
    T, B, H = case.T, case.B, case.H
    shapes: dict[str, tuple[int, ...]] = {
        "x": (T, B, INPUT_SIZE),
        "h_prev": (T, B, H) if pass_.before.reads.count("h_prev") else (B, H),
        "weight_ih": (3 * H, INPUT_SIZE),
        "weight_hh": (3 * H, H),
        "bias": (3 * H,),
        "c_n": (H,),
        "d_h_new_output": (T, B, H),
        "d_h_new_carried": (B, H),
        "tangent_h_prev": (B, H),
    }
    values: dict[str, Tensor] = {}
    for name in sorted({pass_.carry[0][0], *pass_.before.reads, *pass_.sequences, *pass_.parameters}):
        shape = shapes.get(name) or shapes.get(name.removeprefix("tangent_"))
        if name == "valid":
            values[name] = torch.rand((T, B, 1), generator=generator) < 0.6
        elif shape is not None:
            values[name] = 0.7 * torch.randn(shape, generator=generator, dtype=torch.float64)
    # Sums over many units stay of the size for which the tolerances were measured.
    for name in {"weight_hh", "tangent_weight_hh"} & set(values):
        values[name] /= max(1.0, (H / max(HIDDEN_SIZES)) ** 0.5)
    pass_.before(values)
    return values


def assert_agrees(case: Case, device: torch.device, stages: ModuleType | None = None) -> None:
    """The resident loop gives what the plain loop gives, for every group and everything that is stored.

    The plain loop in float64 is the oracle, the plain loop in the dtype of the weights the measure; of TF32,
    float16.

    Args:
        case: What is run.
        device: Of the tensors.
        stages: In place of those of the cell.
    Raises:
        AssertionError: a result is not close, or of another dtype.
    """
    pass_, right = case.emitted()
    values = values_of(case, device)
    found = dict(values)
    scan(pass_, stages or right, found, case.precision)
    compare(case, values, found)


def compare(case: Case, values: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    """What `assert_agrees` demands of the results that a loop added to these values."""
    pass_, _ = case.emitted()
    for group in range(case.G):
        own = {name: value[group] for name, value in values.items()}
        oracle = {n: v if v.dtype is torch.bool else v.double() for n, v in own.items()}
        if case.tf32:
            own["weight_hh"] = own["weight_hh"].half()
        plain.scan(pass_, own)
        plain.scan(pass_, oracle)
        for name in (*pass_.stored, last(pass_.carry[0][1])):
            result = found[name][group]
            assert result.dtype is compute_dtype(case.storage), f"{name} is {result.dtype}"
            label, rounded = f"{case}: {name} of group {group}", result.to(case.storage)
            tolerance = TF32 if case.tf32 else None
            assert_close(label, rounded, oracle[name], own[name].to(case.storage), tolerance)


# Planted errors: emitted stages and loops with one mistake each.

#: (cell, pass, what is right in the source of the emitted stages, what is wrong in its place)
STAGE_ERRORS = (
    ("keep_after", "forward", "gate_complement + h_prev", "gate_complement - h_prev"),
    ("keep_after", "forward", "complement + h_prev*update_gate", "complement + h_prev*reset_gate"),
    ("keep_after", "forward", "candidate*update_gate_complement", "candidate*update_gate"),
    ("keep_after", "forward", "reset_gate*(c_n + candidate_from_h)", "reset_gate*candidate_from_h"),
    ("keep_after", "forward", "reset_gate*(c_n + candidate_from_h)", "c_n + reset_gate*candidate_from_h"),
    ("keep_after", "forward", "reset_preactivation = reset_from_h", "reset_preactivation = update_from_h"),
    ("keep_after", "backward", "d_h_new_carried + d_h_new_output", "d_h_new_output"),
    ("keep_after", "backward", "= d_candidate_from_h_per_d_h_new*", "= d_reset_preactivation_per_d_h_new*"),
    ("keep_after", "backward", "per_d_h_new + d_h_prev_through", "per_d_h_new - d_h_prev_through"),
    ("keep_after", "tangent", "tangent_h_new_per_tangent_h_prev*tangent_h_prev +", ""),
    ("keep_after", "tangent", "= tangent_reset_from_h_varying", "= tangent_update_from_h_varying"),
    ("update_before", "forward", "reset_state = h_prev*reset_gate", "reset_state = h_prev*update_gate"),
    ("update_before", "backward", "+ d_h_prev_per_d_reset_state*d_reset_state", ""),
    ("update_before", "tangent", "tangent_h_prev*tangent_reset_state_per_tangent_h_prev +", ""),
    ("keep_after_lengths", "forward", "tl.where(valid, h_new_proposed, h_prev)", "h_new_proposed"),
    ("keep_after_lengths", "forward", "valid, h_new_proposed, h_prev)", "valid, h_prev, h_new_proposed)"),
)
#: (module, cell, pass, what is right in its source, what is wrong in its place)
LOOP_ERRORS = (
    (ahead, "keep_after", "forward", "TRANSPOSED=True", "TRANSPOSED=False"),
    (ahead, "keep_after", "forward", "load_matrix(weight, group, 1,", "load_matrix(weight, group, 0,"),
    (ahead, "keep_after", "forward", "load_matrix(weight, group, 2,", "load_matrix(weight, 0, 2,"),
    (ahead, "keep_after", "forward", "minimum(t + 1, T - 1)", "minimum(t, T - 1)"),
    (ahead, "keep_after", "forward", "store_tile(last, state, group", "store_tile(states, state, group"),
    (ahead, "keep_before", "forward", "reset_from_h=reset", "reset_from_h=update"),
    (ahead, "update_before", "tangent", "product(reset_state, u_n", "product(state, u_n"),
    (back, "keep_after", "backward", "maximum(T - 2 - i, 0)", "maximum(T - 1 - i, 0)"),
    (back, "keep_after", "backward", "product(d_update, u_z, PRECISION)", "0.0"),
    (back, "update_before", "backward", "row + (T - 1 - i) * batch, rows_left", "row + i * batch, rows_left"),
    (back, "update_before", "backward", "product(d_candidate, u_n", "product(d_candidate, u_r"),
)


def mutant(module: ModuleType, right: str, wrong: str, folder: Path) -> ModuleType:
    """The module with every occurrence of `right` in its source replaced; its source goes to `folder`."""
    source = Path(str(module.__file__)).read_text()
    assert right in source, f"{right!r} is not in {module.__name__}"
    path = folder / "mutant.py"
    path.write_text(source.replace(right, wrong))
    spec = importlib.util.spec_from_file_location(f"{module.__package__}.mutant", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@contextmanager
def planted_loop(module: ModuleType, case: Case, right: str, wrong: str, folder: Path) -> Iterator[None]:
    """The loop that runs a case has an error, until the end of the block."""
    table: dict[str, Any] = loops._TWO_PRODUCTS if "before" in case.cell else loops._ONE_PRODUCT
    original = table[case.pass_]
    table[case.pass_] = getattr(mutant(module, right, wrong, folder), original.__name__)
    try:
        yield
    finally:
        table[case.pass_] = original
