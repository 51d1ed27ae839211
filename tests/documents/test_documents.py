import json
import re
import shutil
import subprocess
from enum import Enum

import pytest

from symgru.documents import FORMATS, Document, derivation, plain_text
from symgru.documents import __main__ as generator
from symgru.documents import derivation as derivation_function
from symgru.documents.article import article
from symgru.documents.json_form import SCHEMA_VERSION, axes
from symgru.documents.markdown import markdown
from symgru.documents.operations import operations
from symgru.documents.proofs import cases, outline, totals
from symgru.documents.sources import meaning, paragraph
from symgru.equations import Cell, Pointwise, Polarity, Program, Reset, gru
from symgru.lowering.modules import passes, torch_module

CELLS = [(polarity, reset) for polarity in ("keep", "update") for reset in ("before", "after", "whole")]
KEYS = ["conventions", "forward", "complementary", "gradient", "through_time", "schedule", "tangent"]


@pytest.fixture(
    params=[(*cell, lengths) for lengths in (False, True) for cell in CELLS],
    ids=lambda cell: "-".join((*cell[:2], "lengths" if cell[2] else "whole sequences")),
    scope="module",
)
def document(request) -> Document:
    return derivation(*request.param)


def text_equations(document, key, title=None):
    groups = [g for g in document.section(key).groups if title in (None, g.title)]
    return {e.target.text: e.expression.text for g in groups for e in g.equations}


@pytest.mark.parametrize(
    ("polarity", "reset", "expected"),
    [
        (
            "keep",
            "after",
            {
                "∂L/∂a^n_t": "∂L/∂h_t ⊙ (1 − z_t) ⊙ (1 − ñ_t²)",
                "∂L/∂(U_n h_{t−1})": "∂L/∂a^n_t ⊙ r_t",
                "∂L/∂a^z_t": "∂L/∂h_t ⊙ (h_{t−1} − ñ_t) ⊙ z_t ⊙ (1 − z_t)",
                "∂L/∂a^r_t": "∂L/∂a^n_t ⊙ r_t ⊙ (1 − r_t) ⊙ (U_n h_{t−1} + c_n)",
            },
        ),
        (
            "update",
            "before",
            {
                "∂L/∂a^n_t": "∂L/∂h_t ⊙ z_t ⊙ (1 − ñ_t²)",
                "∂L/∂s_t": "U_nᵀ ∂L/∂a^n_t",
                "∂L/∂a^z_t": "∂L/∂h_t ⊙ (ñ_t − h_{t−1}) ⊙ z_t ⊙ (1 − z_t)",
                "∂L/∂a^r_t": "∂L/∂s_t ⊙ r_t ⊙ (1 − r_t) ⊙ h_{t−1}",
            },
        ),
    ],
)
def test_the_gradient_inside_a_step(polarity, reset, expected):
    assert text_equations(derivation(polarity, reset), "gradient", "Inside the step") == expected


def test_backpropagation_through_time_hands_the_cotangent_to_the_step_before():
    found = text_equations(derivation("keep", "after"), "through_time")
    assert found["∂L/∂h_t"] == "∂L/∂h^{later}_t + ∂L/∂h^{out}_t"
    assert found["∂L/∂h^{later}_{t−1}"].startswith("∂L/∂h_t ⊙ z_t + U_rᵀ ∂L/∂a^r_t")


def test_the_sections_are_all_there_in_order(document):
    assert [section.key for section in document.sections] == KEYS
    for section in document.sections[1:]:
        assert any(group.equations for group in section.groups), section.key
    with pytest.raises(KeyError, match="no section nowhere; there are conventions, forward"):
        document.section("nowhere")


def prose(document, key):
    paragraphs = document.section(key).paragraphs
    return ["".join(part if isinstance(part, str) else part.text for part in p) for p in paragraphs]


@pytest.mark.parametrize(
    ("polarity", "reset", "expected"),
    [
        (
            "keep",
            "before",
            (
                "Polarity keep: the update gate multiplies the old state, "
                "h_t = z_t ⊙ h_{t−1} + (1 − z_t) ⊙ ñ_t.",
                "Reset before: the reset gate acts on the state, s_t = r_t ⊙ h_{t−1}.",
            ),
        ),
        (
            "update",
            "whole",
            (
                "Polarity update: the update gate multiplies the candidate, "
                "h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ ñ_t.",
                "Reset whole: the reset gate acts on all of it, a^n_t = r_t ⊙ (W_n x_t + U_n h_{t−1} + b_n).",
            ),
        ),
    ],
)
def test_the_conventions_show_the_formulas_of_the_cell(polarity, reset, expected):
    assert tuple(prose(derivation(polarity, reset), "conventions")[:2]) == expected


def test_the_sources_of_a_step_are_those_of_its_parts():
    document = derivation("update", "before")
    assert document.section("forward").title == "One step"
    (sources,) = prose(document, "forward")
    assert sources.lower() == f"{gru('update', 'before').source}.".lower()
    assert "Chung et al. 2014" in sources
    assert "Chung" not in prose(derivation("keep", "before"), "forward")[0]


def test_a_cell_with_lengths_explains_its_mask():
    document = derivation("keep", "after", lengths=True)
    words = "Sequences of different lengths: m_t is a mask"
    assert any(p.startswith(words) for p in prose(document, "conventions"))
    assert text_equations(document, "forward")["h_t"] == "select(m_t, h^{prop}_t, h_{t−1})"
    assert json.loads(FORMATS["json"](document))["cell"]["lengths"] is True
    assert not any("mask" in p for p in prose(derivation("keep", "after"), "conventions"))


def test_text_and_latex_say_the_same(document):
    """One traversal writes both, so the two have the same operators in the same order."""
    equations = [e for s in document.sections for g in s.groups for e in g.equations]
    assert len(equations) > 80
    for equation in equations:
        text, latex = equation.expression.text, equation.expression.latex
        for sign, command in (
            ("⊙", r"\odot"),
            ("ᵀ", r"\top"),
            ("σ", r"\sigma"),
            ("Σ", r"\sum"),
            (" + ", " + "),
        ):
            assert text.count(sign) == latex.count(command), equation.name


def test_a_changed_equation_changes_the_document(monkeypatch):
    """Nothing is typed in: a wrong cell gives a wrong document."""
    cell = gru("keep", "after")
    wrong = [
        Pointwise(s.target, -s.expression) if str(s.target) == "candidate" else s
        for s in cell.step.statements
    ]
    mutant = Cell(
        cell.name,
        cell.title,
        Program(cell.step.inputs, tuple(wrong), cell.step.outputs),
        cell.carry,
        cell.source,
    )
    monkeypatch.setitem(derivation_function.__globals__, "gru", lambda polarity, reset: mutant)
    changed = text_equations(derivation("keep", "after"), "gradient")
    assert changed["∂L/∂a^n_t"] != "∂L/∂h_t ⊙ (1 − z_t) ⊙ (1 − ñ_t²)"


def test_a_changed_state_update_changes_the_convention(monkeypatch):
    cell = gru("update", "after")
    monkeypatch.setitem(derivation_function.__globals__, "gru", lambda polarity, reset: cell)
    assert "(1 − z_t) ⊙ h_{t−1}" in prose(derivation("keep", "after"), "conventions")[0]


# Renderings.


def assert_markdown_is_sound(text):
    """No escape that Markdown eats inside mathematics, and every table row has the cells of its header."""
    for mathematics in re.findall(r"\$(.+?)\$", text):
        eaten = re.search(r"\\[^a-zA-Z]", mathematics)
        assert eaten is None, f"{eaten[0]} in ${mathematics}$ is an escape in Markdown"
        assert "|" not in mathematics, f"${mathematics}$ ends a table cell"
    for block in text.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        cells = {row.count("|") for row in rows}
        assert len(cells) <= 1, f"rows of different lengths in\n{block}"
    assert text.count("$") % 2 == 0


def test_markdown(document):
    text = markdown(document)
    assert text.startswith("# Derivation of the GRU, polarity")
    assert_markdown_is_sound(text)
    assert not re.search(r"\| (pointwise|contract|outer|sum) \|", text), "kinds are for programs to read"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (r"$a\,b$", "is an escape"),
        ("| $a|b$ | c |", "ends a table cell"),
        ("| a | b |\n|---|\n", "rows of different lengths"),
        ("$a", "assert"),
    ],
)
def test_a_planted_fault_in_markdown_is_caught(text, complaint):
    with pytest.raises(AssertionError, match=complaint):
        assert_markdown_is_sound(text)


def assert_latex_is_sound(text):
    """Balanced braces and environments, and no character that pdflatex has no font for."""
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}"), "braces do not match"
    begun, ended = (sorted(re.findall(rf"\\{word}\{{(\w+\*?)\}}", text)) for word in ("begin", "end"))
    assert begun == ended, f"\\begin of {begun}, \\end of {ended}"
    strange = {c for c in text if ord(c) > 255}
    assert not strange, f"no font for {strange}"


def test_latex(document):
    assert_latex_is_sound(article(document))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("{", "braces"), (r"\begin{tabular}", r"begin of \['tabular'\]"), ("σ", "no font for")],
)
def test_a_planted_fault_in_latex_is_caught(text, complaint):
    with pytest.raises(AssertionError, match=complaint):
        assert_latex_is_sound(text)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_article_compiles(tmp_path):
    (tmp_path / "article.tex").write_text(article(derivation("update", "before")), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "article.tex"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert result.returncode == 0, result.stdout[-2000:]
    assert (tmp_path / "article.pdf").stat().st_size > 10_000


def test_json(document):
    data = json.loads(FORMATS["json"](document, "a notice"))
    assert (data["schema"], data["schema_version"]) == ("symgru.derivation", SCHEMA_VERSION)
    assert data["notice"] == "a notice"
    assert [section["key"] for section in data["sections"]] == KEYS
    statements = [s for section in data["sections"] for g in section["groups"] for s in g["statements"]]
    assert {s["kind"] for s in statements} == {"pointwise", "contract", "outer", "sum"}
    for statement in statements:
        assert statement.keys() == {"kind", "target", "expression"}
        assert statement["target"].keys() == {"name", "text", "latex", "shape"}
        assert statement["expression"].keys() == {"text", "latex"}
    shapes = {s["name"]: s["shape"] for s in data["symbols"]}
    assert shapes["W_r"] == ["H", "I"]
    assert shapes["x"] == axes("[T, B, I]") == ["T", "B", "I"]


def test_plain_text_has_no_combining_characters(document):
    text = plain_text(document)
    assert not re.search("[\u0300-\u036f]", text)
    assert "\\" not in text


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_a_notice_stands_at_the_top(form):
    lines = FORMATS[form](derivation(), "generated").splitlines()
    assert any("generated" in line for line in (lines[0], lines[-2]))


# What the documents are made from.


@pytest.mark.parametrize(("polarity", "reset"), CELLS)
def test_operations_are_those_of_the_emitted_code(polarity, reset):
    cell = gru(polarity, reset)
    comments = re.findall(r"# Scalar operations a unit and step: (.*)\.", torch_module(cell))
    for comment, scheduled in zip(comments, passes(cell).values(), strict=True):
        numbers = [int(number) for number in re.findall(r"\d+", comment)]
        phases = [operations(part) for part in (scheduled.before, scheduled.inside, scheduled.after)]
        assert numbers == [n for phase in phases for n in (phase.scalar, phase.products)]


def test_sources_come_from_the_docstrings():
    assert meaning(Polarity.KEEP) == "the old state"
    assert meaning(Reset.AFTER) == "on the recurrent product"
    with pytest.raises(LookupError, match="has no paragraph that begins with 'Nowhere'"):
        paragraph(gru, "Nowhere")

    class Silent(Enum):
        """Says nothing."""

        ONE = 1

    with pytest.raises(LookupError, match="the docstring of Silent says nothing of ONE"):
        meaning(Silent.ONE)


# Proofs.


def step(claim, why, case="", kind="calculated"):
    return {"claim": claim, "justification": why, "lemmas": [], "case": case, "kind": kind}


class Shown:
    """A theorem with these steps."""

    def __init__(self, *steps):
        self.steps = list(steps)

    def to_line(self):
        return "name: statement [evidence]"

    def to_json(self):
        return {"kind": "theorem", "calculations": 3, "rules": 1, "steps": self.steps}


def test_neighbouring_steps_with_one_reason_share_a_line():
    steps = [step("a", "same"), step("b", "same"), step("c", "other"), step("d", "other", "second")]
    found = cases(Shown(*steps, step("e", "other", "second", "argued")).to_json())
    assert [(case, [line["claims"] for line in lines]) for case, lines in found] == [
        ("", [["a", "b"], ["c"]]),
        ("second", [["d"], ["e"]]),
    ]


def test_an_outline_has_the_claims_and_no_calculations():
    steps = (step("a", "same"), step("b", "same"), step("c", "long calculation"))
    assert list(outline(Shown(*steps))) == [
        "name: statement [evidence]",
        "  1. a, and 1 more for the same reason",
        "  2. c",
    ]


def test_cases_with_the_same_claims_share_them():
    steps = (step("a", "one", "left"), step("a", "another", "right"), step("b", "one", "far"))
    assert list(outline(Shown(*steps)))[1:] == ["  Case left; right", "  1. a", "  Case far", "  1. b"]


def test_totals_count_theorems_and_steps():
    refutation = {"kind": "refutation"}
    assert totals([Shown().to_json(), refutation]) == (
        "1 theorem proved, 1 equality refuted; 3 calculations checked by SymPy, "
        "1 rule of inference (such as induction) stated."
    )


# The generated file.


def test_the_committed_document_is_as_derived():
    diffs = generator.differences(generator.generated_files(), generator.folder())
    assert not diffs, "\n".join(diffs)


def test_a_changed_missing_or_whole_document_is_told_apart(tmp_path):
    files = generator.generated_files()
    assert files.keys() == {"derivation.md", "cells.md"}
    assert len(generator.differences(files, tmp_path)) == 2
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert generator.differences(files, tmp_path) == []
    (tmp_path / "derivation.md").write_text(
        files["derivation.md"].replace("odot", "cdot", 1), encoding="utf-8"
    )
    (diff,) = generator.differences(files, tmp_path)
    assert "derivation.md (on disk)" in diff


def test_the_generator_writes_and_checks(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generator, "folder", lambda: tmp_path)
    assert generator.main(["--check"]) == 1
    assert generator.main([]) == 0
    assert generator.main(["--check"]) == 0
    assert "as derived" in capsys.readouterr().out
    assert generator.main(["--nonsense"]) == 2
    for name in ("derivation.md", "cells.md"):
        assert (tmp_path / name).read_text(encoding="utf-8").startswith("<!-- Generated by")
