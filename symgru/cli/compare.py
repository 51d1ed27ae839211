"""`symgru compare`: are two of the cells that ship the same model?

The JSON object has `schema` ("symgru.comparison"), `schema_version`, and what `Comparison.to_json` gives:
`left`, `right`, `verdict`, `one_to_one`, and the outcomes `forward` and `backward`. The `kind` of an outcome
is equal (with `relation`, `conditions`, `theorem`), different (with `refuted`, a witness against each) or
undecided (with `tried`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from symgru.cli.output import say

if TYPE_CHECKING:
    from symgru.equations import Cell

SCHEMA, SCHEMA_VERSION = "symgru.comparison", 1

#: The exit status of each verdict: like that of diff, 0 for the same; 3 leaves out 2, a wrong command line.
STATUS = {
    "equal": 0,
    "left in right": 1,
    "right in left": 1,
    "different": 1,
    "not related in the search space": 3,
    "undecided": 3,
}


@click.command("compare", short_help="Whether two cells are the same model, with a proof or witnesses.")
@click.argument("left")
@click.argument("right")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(left: str, right: str, as_json: bool) -> None:
    """Find parameters for which RIGHT computes the states of LEFT, and prove it; and the other way round.

    If there are none in the search space, every relation of it is refuted by a witness; whether others do it
    is said only where a theorem does. LEFT and RIGHT are names of cells that ship, see `symgru cells`; those
    with an update gate have another polarity under names such as mgu_keep.

    The exit status is 0 if the cells are equal, 1 if not, and 3 if that is not decided, or only for the
    relations of the search space.
    """
    from symgru.equivalence import compare

    comparison = compare(_cell(left), _cell(right))
    if as_json:
        data = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **comparison.to_json()}
        say(json.dumps(data, ensure_ascii=False, indent=2))
    else:
        say(comparison.to_text())
    if status := STATUS[comparison.verdict.value]:
        raise SystemExit(status)


def _cell(name: str) -> Cell:
    """The cell of this name, as published or in the other polarity.

    Raises:
        click.UsageError: there is none; the message lists those that there are.
    """
    from symgru.cells import CELLS, FLIPPED

    if name in CELLS:
        return CELLS[name]()
    flipped = {cell.name: cell for cell in (make() for make in FLIPPED.values())}
    if name not in flipped:
        raise click.UsageError(f"no cell is called {name}; there are\n  " + "\n  ".join([*CELLS, *flipped]))
    return flipped[name]
