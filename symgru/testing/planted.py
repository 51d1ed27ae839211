"""Plant errors in equations, derivation and emitted code, and see that the checks find every one.

`python -m symgru.testing.planted` prints the list; exit status 1 if one survives. Each check first has to
pass on the right program.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
from tqdm import tqdm

from symgru.derivation import Loop, Schedule
from symgru.equations import Cell, Polarity, Program, Reset, gru
from symgru.lowering.modules import passes, torch_module
from symgru.testing.derivatives import assert_dot_product, assert_taylor
from symgru.testing.emitted import assert_emitted_agrees
from symgru.testing.loops import Differentiable, Sizes, draw
from symgru.testing.mutants import mutants
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
    with tempfile.TemporaryDirectory() as folder:
        for polarity, reset in DERIVED:
            cell = gru(polarity, reset)
            for name, scheduled in passes(cell).items():
                inside = _inside(scheduled)
                wrong = ((e, p) for e, p in _mutants(inside) if _in_reach(p, scheduled))
                check = partial(_check_emitted, cell, name, Path(folder))
                yield from _planted(f"emitted {name} pass of {cell.name}", check, inside, wrong)


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


def _check_emitted(cell: Cell, name: str, folder: Path, inside: Program) -> None:
    scheduled = passes(cell)
    scheduled[name] = replace(scheduled[name], inside=inside.statements)
    path = folder / f"{cell.name}_{name}_{len(list(folder.iterdir()))}.py"
    path.write_text(torch_module(cell, scheduled=scheduled))
    assert_emitted_agrees(cell, _imported(path), SIZES, seed=0, tolerance=TOLERANCE)


def _imported(path: Path) -> ModuleType:
    """The module in a file, as if it lay among the generated ones."""
    spec = spec_from_file_location(f"symgru.kernels.generated.{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def planted() -> Iterator[Planted]:
    """All planted errors."""
    for group in (equations, derivation, emitted):
        yield from group()


def main() -> int:
    """Print every planted error; exit status 1 if one survives."""
    found = list(tqdm(planted(), desc="planting errors", disable=None))
    for p in found:
        print(f"{'caught  ' if p.complaint else 'SURVIVED'}  {p.where}: {p.error}")
    survivors = sum(p.complaint is None for p in found)
    print(f"{len(found)} planted, {len(found) - survivors} caught, {survivors} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
