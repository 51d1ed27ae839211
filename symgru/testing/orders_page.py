"""The table of docs/orders.md: what the derivatives of some cells cost.

- `python -m symgru.testing.orders_page` writes it into the page;
- `tests/derivation/test_cost.py` compares the page with it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from symgru.cells import CELLS
from symgru.derivation import PipelineCost, orders, pipeline_cost

PAGE = Path(__file__).parents[2] / "docs" / "orders.md"
SHOWN = ("gru_keep_after", "gru_keep_before", "gru_keep_whole", "mgu", "mingru", "lstm")
BEGIN, END = "<!-- table: python -m symgru.testing.orders_page -->", "<!-- end of table -->"
HEADER = (
    "| cell | derivative | loops | pointwise: before, inside, after | together | as derived "
    "| matrix products: before, inside, after | outer products | stored |",
    "|---|---|---|---|---|---|---|---|---|",
)


@cache
def table() -> str:
    """One row for every cell and derivative."""
    rows = [*HEADER]
    for name in SHOWN:
        for order, pipeline in orders(CELLS[name]()).items():
            rows.append(_row(name, order, pipeline_cost(pipeline), pipeline_cost(pipeline, simplify=False)))
    return "\n".join(rows)


def _row(name: str, order: str, cost: PipelineCost, derived: PipelineCost) -> str:
    phases = cost.before, cost.inside, cost.after
    columns = (
        name,
        order.replace("_", " "),
        len(cost.loops),
        ", ".join(str(phase.pointwise) for phase in phases),
        cost.total.pointwise,
        derived.total.pointwise,
        ", ".join(str(phase.products) for phase in phases),
        cost.total.outer,
        cost.stored,
    )
    return f"| {' | '.join(map(str, columns))} |"


def with_table(page: str) -> str:
    """The page with the table between its marks.

    Raises:
        ValueError: the marks are not there.
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"expected the marks {BEGIN} and {END} in the page")
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
