"""Plant errors in equations, derivation, emitted code, kernels and certificates, and see that all are found.

`python -m symgru.testing.planted` prints the list; exit status 1 if one survives. Each check first has to
pass on the right program.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from tqdm import tqdm

from symgru.derivation import Loop, Schedule
from symgru.equations import Cell, Polarity, Program, Reset, gru
from symgru.kernels.passes import Pass
from symgru.kernels.scan import last
from symgru.lowering.modules import passes, torch_module, triton_module
from symgru.lowering.triton_source import triton_functions
from symgru.testing.derivatives import assert_dot_product, assert_taylor
from symgru.testing.emitted import assert_emitted_agrees
from symgru.testing.loops import Differentiable, Sizes, draw
from symgru.testing.mutants import mutants
from symgru.testing.planted_certificates import planted_certificates
from symgru.testing.reference import textbook_gru

SIZES = Sizes(steps=3, batch=3, axes={"I": 3, "H": 4})
TOLERANCE = 1e-9
DERIVED = ((Polarity.KEEP, Reset.AFTER), (Polarity.UPDATE, Reset.BEFORE))


@dataclass(frozen=True)
class Planted:
    """An error, and the complaint of the check that found it; None if none did."""

    where: str
    error: str
    complaint: str | None


def _planted(
    where: str, check: Callable[[Program], None], right: Program, wrong: Iterable[tuple[str, Program]]
) -> Iterator[Planted]:
    """Each error with what the check says of it; a program that cannot be evaluated is found too."""
    check(right)
    for error, program in wrong:
        try:
            with np.errstate(all="ignore"):
                check(program)
        except (AssertionError, ValueError) as complaint:
            yield Planted(where, error, f"{type(complaint).__name__}: {complaint}")
        else:
            yield Planted(where, error, None)


def _mutants(program: Program) -> Iterator[tuple[str, Program]]:
    return ((mutant.error, mutant.program) for mutant in mutants(program))


def equations() -> Iterator[Planted]:
    """Wrong equations against the GRU typed from the papers."""
    for polarity in Polarity:
        for reset in Reset:
            cell = gru(polarity, reset)
            check = partial(_check_equations, cell, polarity, reset)
            yield from _planted(f"equations of {cell.name}", check, cell.step, _mutants(cell.step))


def _check_equations(cell: Cell, polarity: Polarity, reset: Reset, step: Program) -> None:
    values = draw(cell, SIZES, seed=0)
    states = Differentiable(replace(cell, step=step)).states(values)["h_new"]
    error = np.abs(states - textbook_gru(values, polarity.value, reset.value)).max()
    assert error < TOLERANCE, f"states differ from the published equations by {error:.2e}"


def derivation() -> Iterator[Planted]:
    """Wrong tangent loops against the Taylor test, wrong backward loops against the dot-product test."""
    for polarity, reset in DERIVED:
        cell = gru(polarity, reset)
        right = Differentiable(cell)
        for name, loop in (("tangent", right.tangent), ("backward", right.backward)):
            check = partial(_check_derivative, cell, name, loop)
            yield from _planted(f"{name} loop of {cell.name}", check, loop.step, _mutants(loop.step))


def _check_derivative(cell: Cell, name: str, loop: Loop, step: Program) -> None:
    loops = {f"{name}_loop": replace(loop, step=step)}
    derivative = Differentiable(cell, **loops)
    point, direction = draw(cell, SIZES, seed=0), draw(cell, SIZES, seed=1)
    jvp, vjp = partial(derivative.jvp, point), partial(derivative.vjp, point)
    if name == "tangent":
        assert_taylor(derivative.states, jvp, point, direction)
    assert_dot_product(jvp, vjp, direction, derivative.states(draw(cell, SIZES, seed=2)))


def emitted() -> Iterator[Planted]:
    """Wrong steps in emitted torch modules against the oracle."""
    yield from _wrong_steps("emitted", _check_emitted, lambda cell, name, inside: True)


def kernels() -> Iterator[Planted]:
    """Wrong stages in the Triton loops against the oracle; in Triton's interpreter unless there is a GPU."""
    yield from _wrong_steps("Triton", _check_kernel, _is_a_kernel)


def _wrong_steps(
    kind: str,
    check: Callable[[Cell, str, Path, Program], None],
    fits: Callable[[Cell, str, Program], bool],
) -> Iterator[Planted]:
    with tempfile.TemporaryDirectory() as folder:
        for polarity, reset in DERIVED:
            cell = gru(polarity, reset)
            for name, scheduled in passes(cell).items():
                inside = _inside(scheduled)
                wrong = (
                    (e, p) for e, p in _mutants(inside) if _in_reach(p, scheduled) and fits(cell, name, p)
                )
                where = f"{kind} {name} pass of {cell.name}"
                yield from _planted(where, partial(check, cell, name, Path(folder)), inside, wrong)


def _inside(scheduled: Schedule) -> Program:
    """The statements inside the loop as a program."""
    step = scheduled.loop.step
    shapes = Program(step.inputs, scheduled.before, ()).shapes
    leaving = tuple(leaving for _, leaving in scheduled.loop.carry)
    return Program(shapes, scheduled.inside, (*leaving, *scheduled.stored))


def _in_reach(inside: Program, scheduled: Schedule) -> bool:
    """Whether the statements read only what the loop hands to them."""
    own = {s.target for s in inside} | scheduled.loop.carried
    read = {s for statement in inside for s in statement.reads}
    return read <= own | set(scheduled.sequences) | set(scheduled.parameters)


def _with_inside(cell: Cell, name: str, inside: Program) -> dict[str, Schedule]:
    scheduled = passes(cell)
    return {**scheduled, name: replace(scheduled[name], inside=inside.statements)}


def _is_a_kernel(cell: Cell, name: str, inside: Program) -> bool:
    """Whether the error lies in the Triton functions, and they still take what the loops hand to them.

    Products are written by hand in the loops; `tests/kernels` plants errors there.
    """
    right, wrong = (
        triton_functions(name, scheduled[name])
        for scheduled in (passes(cell), _with_inside(cell, name, inside))
    )
    interfaces = ([(f.reads, f.writes) for f in functions] for functions in (right, wrong))
    return right != wrong and next(interfaces) == next(interfaces)


def _check_emitted(cell: Cell, name: str, folder: Path, inside: Program) -> None:
    module = imported(folder, torch_module(cell, scheduled=_with_inside(cell, name, inside)))
    assert_emitted_agrees(cell, module, SIZES, seed=0, tolerance=TOLERANCE)


def _check_kernel(cell: Cell, name: str, folder: Path, inside: Program) -> None:
    stages = imported(folder, triton_module(cell, scheduled=_with_inside(cell, name, inside)))
    right = import_module(f"symgru.kernels.generated.torch_{cell.name}")
    execute = partial(_resident, stages)
    assert_emitted_agrees(cell, right, SIZES, seed=0, tolerance=TOLERANCE, execute=execute, only=name)


def _resident(stages: ModuleType, pass_: Pass, values: dict[str, torch.Tensor]) -> None:
    """The Triton loop with the given stages, for one group."""
    from symgru.kernels.triton.scan import scan

    device = "cuda" if torch.cuda.is_available() else "cpu"
    ((entering, leaving),) = pass_.carry
    names = (entering, *pass_.sequences, *pass_.parameters)
    groups = {name: values[name].unsqueeze(0).to(device) for name in names}
    scan(pass_, stages, groups)
    values.update({name: groups[name].squeeze(0).cpu() for name in (*pass_.stored, last(leaving))})


def imported(folder: Path, source: str) -> ModuleType:
    """The source as a module, as if it lay among the generated ones."""
    path = folder / f"planted_{len(list(folder.iterdir()))}.py"
    path.write_text(source)
    spec = spec_from_file_location(f"symgru.kernels.generated.{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def certificates() -> Iterator[Planted]:
    """One edit in seven of those that tests/certificates makes of a certificate."""
    return (Planted(*edit) for edit in planted_certificates(every=7))


GROUPS = (equations, derivation, emitted, kernels, certificates)


def main() -> int:
    """Print every planted error; exit status 1 if one survives."""
    if not torch.cuda.is_available():
        os.environ["TRITON_INTERPRET"] = "1"
    every = (p for group in GROUPS for p in group())
    found = list(tqdm(every, desc="planting errors", disable=None))
    for p in found:
        print(f"{'caught  ' if p.complaint else 'SURVIVED'}  {p.where}: {p.error}")
    survivors = sum(p.complaint is None for p in found)
    print(f"{len(found)} planted, {len(found) - survivors} caught, {survivors} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
