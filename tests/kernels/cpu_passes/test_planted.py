"""The comparison with the oracle finds errors that are planted in the passes of the CPU."""

import pytest

from symgru.testing.cpu_libraries import Edit
from symgru.testing.planted import Planted
from symgru.testing.planted_cpu import ENGINE, emitted, engine, slips

FAST = ENGINE[::4]


def assert_all_caught(found: list[Planted]) -> None:
    survivors = [f"{p.where}: {p.error}" for p in found if p.complaint is None]
    assert found
    assert not survivors, "\n".join(survivors)


def test_some_errors_in_what_is_emitted():
    assert_all_caught(list(emitted(every=12)))


@pytest.mark.parametrize("error", FAST, ids=lambda e: e[0])
def test_errors_in_the_engine(error):
    assert_all_caught(list(engine([error])))


@pytest.mark.thorough
@pytest.mark.parametrize("cell", ["gru_keep_before", "gru_keep_after", "gru_update_after"])
def test_all_errors_in_what_is_emitted(cell):
    """Not with reset `whole`: there two cotangents are equal, so to mistake one for the other is no error."""
    assert_all_caught(list(emitted(cell=cell)))


@pytest.mark.thorough
@pytest.mark.parametrize("error", [e for e in ENGINE if e not in FAST], ids=lambda e: e[0])
def test_all_errors_in_the_engine(error):
    assert_all_caught(list(engine([error])))


def test_every_pass_and_kind_of_error_is_planted():
    kinds = {(slip.pass_, slip.error.partition(":")[0]) for slip in slips("gru_keep_before")}
    assert len(kinds) > 40, sorted(kinds)


def test_an_edit_that_does_not_fit_is_an_error(tmp_path):
    (tmp_path / "a.h").write_text("one one", encoding="utf-8")
    for old in ("one", "two"):
        with pytest.raises(ValueError, match="the sources have changed"):
            Edit("a.h", old, "three").apply(tmp_path)
