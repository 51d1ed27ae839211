"""Where the C++ passes compute what: few stages a step, and rows at once where they pay."""

import re

import pytest
import sympy as sp

from symgru.equations import Polarity, Reset, gru
from symgru.lowering.cpu_bodies import body
from symgru.lowering.cpu_modules import CellPlans, gru_sources
from symgru.lowering.cpu_tables import Tables
from symgru.lowering.placement import Placement, placed

CELLS = [(polarity, reset) for polarity in Polarity for reset in Reset]


def placements(polarity: Polarity, reset: Reset) -> dict[str, tuple[Placement, CellPlans]]:
    plans = CellPlans(gru(polarity, reset), gru_sources(reset))
    return {
        name: (placed(each.loop, plans.sources.layout, each.saved, each.trajectories), plans)
        for name, each in plans.passes.items()
    }


@pytest.mark.parametrize(("polarity", "reset"), CELLS)
def test_products_of_what_is_carried_do_not_wait(polarity, reset):
    """Double backward has a second name for what it carries; a stage to give it this name is one too many."""
    for name, (placement, _) in placements(polarity, reset).items():
        carried = placement.loop.carried
        for stage in placement.inside:
            for group in stage.groups:
                aliases = {s.target for s in placement.loop.step if getattr(s, "expression", 0) in carried}
                assert not aliases & set(group.vectors), f"{name} waits for {aliases}"
        if name.startswith("double_backward_") and not name.endswith("end"):
            assert placement.inside[0].groups, f"{name} begins its step without a product"
            assert len(placement.inside) == (2 if reset is Reset.BEFORE else 1)


def test_bodies_with_functions_do_several_rows_at_once():
    found = {}
    for name, (placement, plans) in placements(Polarity.KEEP, Reset.AFTER).items():
        tables = Tables(placement, plans.sources)
        for i, stage in enumerate(placement.inside):
            has = any(s.expression.atoms(sp.Function) for s in stage.body)
            (rows,) = re.findall(r"each_block<T, (\d)>", body("f", tables, stage).source)
            found[name, i] = has
            assert rows == ("2" if has else "1")
    assert found["forward", 0]
    assert not found["double_backward_inputs", 0]
