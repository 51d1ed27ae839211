"""Theorems that no parameters at all turn one cell into another, and the cells that they are about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import permutations

from symgru.cells import CELLS, FLIPPED, gru_with_biases
from symgru.equations import Cell, Polarity, Reset, gru
from symgru.proof import Theorem
from symgru.proof.biases import no_three_are_four
from symgru.proof.conversions import CASES, no_conversion
from symgru.proof.shared_gates import augru_paper_is_not_code, augru_polarity, mgu_polarity

Prove = Callable[[], Theorem]


def impossible(left: Cell, right: Cell, embedded: Callable[[Cell, Cell], object | None]) -> Theorem | None:
    """A theorem by which some left cell is no right cell, for no parameters, with the same input and state.

    A theorem says that some target is no candidate. If every target is a left cell, and every right cell a
    candidate, then some left cell is no right cell.

    Args:
        left, right: Two cells.
        embedded: Proves that every cell of its first kind is one of its second, with the same states, or
            returns None.
    Raises:
        ProofError: the theorem does not hold.
    """

    @cache
    def contains(target: str) -> bool:
        return embedded(cells[target], left) is not None

    @cache
    def contained(candidates: str) -> bool:
        return embedded(right, cells[candidates]) is not None

    found, cells = _theorems()
    return next((prove() for target, other, prove in found if contains(target) and contained(other)), None)


@cache
def _theorems() -> tuple[tuple[tuple[str, str, Prove], ...], dict[str, Cell]]:
    """(target, candidates, proof) by names of cells, and these cells."""
    cells: dict[str, Cell] = {}

    def named(cell: Cell) -> str:
        return cells.setdefault(cell.name, cell).name

    return tuple((named(t), named(c), prove) for t, c, prove in _claims()), cells


def _claims() -> Iterator[tuple[Cell, Cell, Prove]]:
    three = gru_with_biases(Polarity.KEEP, Reset.AFTER, 3)
    for target, reset in CASES:  # what is said of a target after holds with c_n = 0 too
        one = three if target is Reset.AFTER else gru("keep", target)
        yield one, gru("keep", reset), partial(no_conversion, reset, target)
    yield gru("keep", Reset.AFTER), three, no_three_are_four
    for name in ("mgu", "mgu_after"):
        for one, other in permutations((CELLS[name](), FLIPPED[name]())):
            yield one, other, mgu_polarity
    for name in ("augru_paper", "augru_code"):
        for one, other in permutations((CELLS[name](), FLIPPED[name]())):
            yield one, other, partial(augru_polarity, name)
    for one, other in permutations((CELLS["augru_paper"](), CELLS["augru_code"]())):
        yield one, other, augru_paper_is_not_code
