"""What is wrong has no speed, and what symgru loses is shown."""

import dataclasses
import json
import math

import pytest
import torch

from symgru.benchmark import problem
from symgru.benchmark.accuracy import WRONG, allowed, error
from symgru.benchmark.model import BASELINE, OURS, Absent, Row, Table, Variant, contest
from symgru.benchmark.peak import Peak
from symgru.benchmark.report import as_json, markdown, seconds, text
from symgru.benchmark.run import Report
from symgru.benchmark.shapes import Shape
from symgru.benchmark.timing import QUICK

SHAPE = Shape(5, 3, 4, 6)
PROBLEM = problem.Problem(SHAPE, "torch")
TRUTH = tuple(problem.training(PROBLEM.theirs(torch.float64), PROBLEM.x, PROBLEM.h0, PROBLEM.cotangent)())
NUMBERS = (torch.tensor([1.0, -4.0], dtype=torch.float64), torch.tensor([0.5], dtype=torch.float64))
PEAK = Peak(1, 1e11, 0.0, {"L1": 2e11, "L2": 1e11, "L3": 9e10, "DRAM": 2e10}, {"L1": 1, "L2": 2, "L3": 3})


def training(model):
    return problem.training(model, PROBLEM.x, PROBLEM.h0, PROBLEM.cotangent)


def variant(name, call, **fields):
    return Variant(name, call, TRUTH, **fields)


def fixed(**samples):
    """Instead of measuring: samples by variant, and a note of whom they were asked for."""
    asked = []

    def measure(calls, effort):
        asked.extend(calls)
        return {name: samples[name] for name in calls}

    measure.asked = asked
    return measure


def entries(variants, absent=(), **samples):
    measure = fixed(**samples)
    found = contest(variants, absent, QUICK, measure)
    return {entry.variant: entry for entry in found}, measure.asked


def planted(change):
    """A training step whose results are changed."""
    honest = training(PROBLEM.ours())
    return lambda: change(list(honest()))


def negate(results, i):
    results[i] = -results[i]
    return results


def swap_gates(results):
    r, z, n = results[2].chunk(3)
    results[2] = torch.cat([z, r, n])
    return results


def nan(results):
    results[-1][0] = math.nan
    return results


WRONG_RESULTS = {
    "the sign of the gradient of x": lambda r: negate(r, 1),
    "the sign of the last bias": lambda r: negate(r, 5),
    "two gates swapped": swap_gates,
    "a tensor too few": lambda r: r[:-1],
    "a tensor too many": lambda r: [*r, r[0]],
    "another shape": lambda r: [r[0][:-1], *r[1:]],
    "one term in a thousand missing": lambda r: [*r[:3], r[3] * 0.999, *r[4:]],
    "not a number": nan,
}


@pytest.mark.parametrize("change", WRONG_RESULTS.values(), ids=WRONG_RESULTS)
def test_a_wrong_result_has_no_speed(change):
    wrong = variant(OURS, planted(change))
    found, asked = entries([wrong, variant(BASELINE, training(PROBLEM.theirs()))], **{BASELINE: [1.0]})
    assert asked == [BASELINE], "a wrong variant was timed"
    ours = found[OURS]
    assert ours.refused
    assert (ours.times, ours.speedup, ours.distance) == (None, None, None)
    assert ours.why.startswith("wrong result: ")
    assert found[BASELINE].ahead is None, "nobody is compared with a wrong result"
    assert not found[BASELINE].refused


def test_a_wrong_rival_is_refused_too_and_not_beaten():
    wrong = variant("rival", planted(lambda r: negate(r, 0)))
    found, asked = entries([variant(OURS, training(PROBLEM.ours())), wrong], **{OURS: [1.0]})
    assert asked == [OURS]
    assert found["rival"].refused
    assert found["rival"].ahead is None


def test_a_right_result_is_timed_with_its_error():
    calls = {OURS: training(PROBLEM.ours()), BASELINE: training(PROBLEM.theirs())}
    variants = [variant(name, call, floor=0.5) for name, call in calls.items()]
    found, asked = entries(variants, **{OURS: [1.0, 2.0, 3.0], BASELINE: [4.0, 4.0, 3.0]})
    assert asked == [OURS, BASELINE]
    ours, theirs = found[OURS], found[BASELINE]
    assert (ours.times.median, ours.times.minimum, ours.times.rounds) == (2.0, 1.0, 3)
    assert (ours.speedup, ours.fastest, ours.distance) == (2.0, 3.0, 4.0)
    assert (theirs.speedup, theirs.ahead, ours.ahead) == (1.0, 2.0, None)
    assert 0 < ours.error < 1e-6


def test_rivals_are_compared_with_their_own_opponent_and_with_their_dense_time():
    def call():
        return NUMBERS

    variants = [
        Variant(f"{OURS} packed", call, NUMBERS, baseline="peer", dense=f"{OURS} dense"),
        Variant(f"{OURS} dense", call, NUMBERS, baseline="peer"),
        Variant("peer", call, NUMBERS, baseline="peer", opponent=f"{OURS} packed"),
    ]
    samples = {f"{OURS} packed": [3.0], f"{OURS} dense": [4.0], "peer": [6.0]}
    found, _ = entries(variants, **samples)
    assert found[f"{OURS} packed"].details == {"of dense": 0.75}
    assert found[f"{OURS} packed"].speedup == 2.0
    assert found["peer"].ahead == 2.0


def test_what_is_absent_is_named():
    found, _ = entries([variant(BASELINE, training(PROBLEM.theirs()))], [Absent("X", "not installed")],
                       **{BASELINE: [1.0]})  # fmt: skip
    assert (found["X"].times, found["X"].refused, found["X"].why) == (None, False, "not installed")


def test_a_result_that_is_less_exact_is_timed_and_says_so():
    def off(by):
        return lambda: tuple(number * (1 + by) for number in NUMBERS)

    variants = [Variant(OURS, off(2e-5), NUMBERS), Variant(BASELINE, off(1e-7), NUMBERS)]
    found, _ = entries(variants, **{OURS: [1.0], BASELINE: [1.0]})
    assert found[OURS].why == "less exact than torch.nn.GRU"
    assert found[BASELINE].why == ""


# accuracy


def test_the_error_is_that_of_the_worst_tensor_relative_to_its_largest_number():
    found = (NUMBERS[0] + torch.tensor([0.0, 0.04]), NUMBERS[1] + 0.01)
    assert error(found, NUMBERS) == pytest.approx(0.02)
    assert error(NUMBERS, NUMBERS) == 0.0


def test_what_torch_loses_another_may_lose_too():
    assert allowed(torch.float32) == WRONG[torch.float32]
    assert allowed(torch.float32, peer=1e-3) > 1e-3
    assert allowed(torch.float32, peer=math.nan) == WRONG[torch.float32], "a NaN must not widen the limit"


# tables and reports


def losing_table():
    measure = fixed(**{OURS: [2.0], BASELINE: [1.0], "rival": [3.0]})
    variants = [Variant(name, lambda: NUMBERS, NUMBERS, floor=0.1) for name in (OURS, BASELINE, "rival")]
    wrong = Variant("wrong", lambda: (NUMBERS[0] + math.inf, NUMBERS[1]), NUMBERS)
    found = contest([*variants, wrong], [Absent("gone", "not installed")], QUICK, measure)
    return Table("forward", "Title", (Row(SHAPE, 1, found, floor=0.1),), ("A note.",))


def report_of(*tables):
    return Report({"processor": "P|Q"}, (PEAK,), tables, ("not idle",), "2026-01-01")


def test_losses_are_found_and_wins_are_not():
    assert [entry.variant for _, entry in losing_table().losses()] == [BASELINE]


@pytest.mark.parametrize("form", [text, markdown])
def test_a_report_shows_losses_refusals_what_is_absent_and_warnings(form):
    lines = form(report_of(losing_table())).splitlines()

    def line(name):
        (found,) = [
            line for line in lines if name in line and "5,3,4,6" not in line and "Speed-up" not in line
        ]
        return found

    assert "symgru is SLOWER: 0.50" in line(f"{BASELINE} ")
    assert "SLOWER" not in line("  rival  " if form is text else "| rival ")
    assert "REFUSED: wrong result" in line("| wrong " if form is markdown else "  wrong  ")
    assert "not installed" in line("gone")
    assert any("not idle" in text for text in lines)
    assert any("slower than a rival in 1 of 2 comparisons" in text for text in lines)
    assert any("A note." in text for text in lines)


def test_a_table_of_losses_alone_leaves_the_others_out_and_says_so():
    table = dataclasses.replace(losing_table(), losses_alone=True)
    assert "5,3,4,6" in text(report_of(table))
    won = [dataclasses.replace(entry, ahead=None, refused=False) for entry in table.rows[0].entries]
    row = dataclasses.replace(table.rows[0], entries=tuple(won))
    lines = text(report_of(dataclasses.replace(table, rows=(row,))))
    assert "no row: nothing was lost" in lines
    assert "5,3,4,6" not in lines


def test_a_disturbed_time_is_marked():
    variants = [Variant(name, lambda: NUMBERS, NUMBERS) for name in (OURS, BASELINE)]
    measure = fixed(**{OURS: [1.0, 9.0, 9.0], BASELINE: [1.0, 1.1, 1.2]})
    row = Row(SHAPE, 1, contest(variants, [], QUICK, measure))
    lines = text(report_of(Table("forward", "Title", (row,)))).splitlines()
    assert [line.partition("unsteady")[2] for line in lines[-3:-1]] == [": median 9.00 times the minimum", ""]


def test_columns_are_aligned_and_markdown_cells_are_escaped():
    lines = text(report_of(losing_table())).splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("T,B,I,H"))
    column = lines[head].index("median") + len("median")
    assert [line[column - 2 : column] for line in lines[head + 1 : head + 4]] == [" s"] * 3
    assert "| processor | P\\|Q |" in markdown(report_of(losing_table()))


def test_seconds_have_three_digits():
    values = [2.5, 0.0125, 0.25e-3, 99.96e-6, 4.4e-5, 3e-9]
    assert [seconds(v) for v in values] == ["2.50 s", "12.5 ms", "250 us", "100 us", "44.0 us", "3.00 ns"]


NUMBER = (int, float, type(None))
ENTRY = {"variant": str, "times": (dict, type(None)), "speedup": NUMBER, "fastest": NUMBER, "ahead": NUMBER,
         "distance": NUMBER, "error": NUMBER, "refused": bool, "why": str, "details": dict}  # fmt: skip
ROW = {"shape": dict, "threads": int, "entries": list, "label": str, "floor": NUMBER}
TABLE = {"name": str, "title": str, "rows": list, "notes": list, "losses_alone": bool}
CONTENT = {"format": str, "version": int, "date": str, "machine": dict, "warnings": list, "peaks": list,
           "tables": list}  # fmt: skip
MACHINE = {"threads": int, "float32": float, "bfloat16": float, "bandwidth": dict, "caches": dict}


def assert_form(content, form):
    assert list(content) == list(form)
    for name, kind in form.items():
        assert isinstance(content[name], kind), f"{name} is {content[name]!r}"


def assert_report_form(content):
    """Version 1 of the form of `--json`."""
    assert_form(content, CONTENT)
    assert (content["format"], content["version"]) == ("symgru-benchmark", 1)
    for peak in content["peaks"]:
        assert_form(peak, MACHINE)
    for table in content["tables"]:
        assert_form(table, TABLE)
        for row in table["rows"]:
            assert_form(row, ROW)
            assert list(row["shape"]) == ["T", "B", "I", "H"]
            for entry in row["entries"]:
                assert_form(entry, ENTRY)
                if entry["times"] is not None:
                    assert_form(entry["times"], {"median": float, "minimum": float, "rounds": int})
                    assert not entry["refused"], "a wrong result has a time"


def test_the_json_form_holds_without_infinities():
    written = as_json(report_of(losing_table()))
    content = json.loads(written, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert_report_form(content)
    assert [e["variant"] for e in content["tables"][0]["rows"][0]["entries"] if e["refused"]] == ["wrong"]


def test_a_planted_fault_in_the_json_form_is_caught():
    content = json.loads(as_json(report_of(losing_table())))
    wrong = next(e for e in content["tables"][0]["rows"][0]["entries"] if e["refused"])
    wrong["times"] = {"median": 1.0, "minimum": 1.0, "rounds": 1}
    with pytest.raises(AssertionError, match="a wrong result has a time"):
        assert_report_form(content)
    del wrong["error"]
    with pytest.raises(AssertionError):
        assert_report_form(content)
