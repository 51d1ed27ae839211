"""The demo end to end on a little data, and the page that it writes."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import torch
from click.testing import CliRunner
from markupsafe import escape

import symgru.demo
import symgru.demo.kernel_check as kernel_check
from symgru.cli import main
from symgru.data import japanese_vowels
from symgru.demo import KernelCheckError, Settings, run
from symgru.demo.kernel_check import Error, check, check_in_subprocess
from symgru.demo.report import mathml, nested, report
from symgru.demo.run import summary, where
from symgru.demo.training import Training, classifiers, largest_difference, mirror_update_gate, train

LITTLE = Settings(epochs=2, hidden_size=8, utterances=36)


def quick_check(steps):
    """The check without Triton: the plain backend takes the place of the kernels."""
    return check("torch", "cpu", batch=2, steps=min(steps, 4), hidden_size=5)


@pytest.fixture(scope="module")
def result():
    return run(LITTLE, quick_check)


# Results.


def test_keep_and_update_learn_the_same_bit_for_bit(result):
    keep, update, reference = result.findings.runs
    assert keep.losses == update.losses
    assert keep.predictions == update.predictions
    assert result.findings.keep_and_update == 0
    assert len(keep.losses) == 2 * 2
    assert largest_difference(keep.losses, reference.losses) < 1e-5
    assert result.findings.passed


def test_without_the_mirror_they_do_not():
    data = japanese_vowels("train").first(36)
    training = Training(epochs=1, hidden_size=8)
    models = classifiers(training)
    mirror_update_gate(models["symgru.GRU, update"].recurrent, 8)  # undoes the mirror
    keep, update, _ = (train(name, model, training, data, data) for name, model in models.items())
    assert largest_difference(keep.losses, update.losses) > 1e-4


def test_the_three_models_start_as_one_function():
    utterances = [torch.from_numpy(values) for values in japanese_vowels("train").values[:3]]
    packed = torch.nn.utils.rnn.pack_sequence(utterances, enforce_sorted=False)
    keep, update, reference = (model(packed) for model in classifiers(Training(epochs=1)).values())
    assert torch.equal(keep, update)
    torch.testing.assert_close(keep, reference)


def test_training_learns():
    data = japanese_vowels("train").first(90)
    training = Training(epochs=16, hidden_size=16)
    name, model = next(iter(classifiers(training).items()))
    learned = train(name, model, training, data, data)
    assert learned.losses[-1] < learned.losses[0] / 2
    assert learned.accuracy > 0.85
    low, high = learned.interval
    assert 0 <= low < learned.accuracy <= high <= 1


def test_the_interval_of_a_known_case(result):
    half = replace(result.findings.runs[0], predictions=(0,) * 100, correct=50)
    assert half.interval == pytest.approx((0.4038, 0.5962), abs=1e-4)


# The check of the kernels.


def test_the_kernels_agree_with_the_oracle():
    """In a process of its own: Triton's interpreter, or the GPU if there is one."""
    found = check_in_subprocess(batch=2, steps=3, hidden_size=5)
    assert found.passed, found
    assert found.on_gpu == torch.cuda.is_available()
    assert found.backend == ("triton" if found.on_gpu else "interpreter")
    assert [error.quantity for error in found.errors][:2] == ["output", "h_n"]
    assert len(found.errors) == 8


def test_a_planted_error_in_a_gradient_is_caught(monkeypatch):
    right = kernel_check.results

    def wrong(call, backend, device):
        found = right(call, backend, device)
        return found | {"weight_hh_l0": found["weight_hh_l0"] * 1.001}

    monkeypatch.setattr(kernel_check, "results", wrong)
    found = check("torch", "cpu", batch=2, steps=4, hidden_size=5)
    assert [error.quantity for error in found.errors if not error.passed] == ["weight_hh_l0"]
    assert not found.passed


def test_nan_is_no_agreement(result):
    assert not Error("output", kernel=float("nan"), plain=0.0).passed
    assert not replace(result.findings.check, errors=()).passed, "nothing checked is not passed"


def test_a_check_that_cannot_run_says_why():
    with pytest.raises(KernelCheckError, match=r"the kernels could not be checked: .*hidden_size"):
        check_in_subprocess(hidden_size=0)


# The page.


class _Page(HTMLParser):
    """What a page refers to, and how many of each element it has."""

    def __init__(self, text):
        super().__init__()
        self.references, self.count, self.open = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag not in {"meta", "br"}:
            self.open.append(tag)
        self.references += [
            value for name, value in attrs if name.removeprefix("xlink:") in {"src", "href", "srcset", "data"}
        ]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag in {"meta", "br"}:
            return
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()


def assert_self_contained(text):
    page = _Page(text)
    assert page.open == [], f"never closed: {page.open}"
    outside = [reference for reference in page.references if not reference.startswith("#")]
    assert not outside, f"refers to {outside}"
    loading = [tag for tag in ("script", "link", "iframe", "img", "object") if tag in page.count]
    assert not loading, f"has {loading}"
    styles = re.findall(r"@import|url\((?!#)[^)]*\)", text)
    assert not styles, f"a style loads {styles}"
    return page


def test_the_page_is_self_contained(result):
    page = assert_self_contained(result.html)
    assert page.count["math"] > 150
    assert page.count["svg"] == 1
    assert page.count["li"] > 300, "the steps of the proofs"


@pytest.mark.parametrize(
    ("planted", "complaint"),
    [
        ('<a href="https://example.org">x</a>', "refers to"),
        ('<svg><use xlink:href="figure.svg#a"></use></svg>', "refers to"),
        ("<script>1</script>", "has \\['script'\\]"),
        ("<style>@import 'x.css';</style>", "a style loads"),
        ('<p style="background: url(x.png)"></p>', "a style loads"),
        ("<p><b></p></b>", "</p> closes <b>"),
        ("<p>", "</body> closes <p>"),
    ],
)
def test_a_page_that_loads_something_is_caught(planted, complaint):
    with pytest.raises(AssertionError, match=complaint):
        assert_self_contained(f"<html><body>{planted}</body></html>")


def test_an_element_that_stays_open_is_caught():
    with pytest.raises(AssertionError, match="never closed"):
        assert_self_contained("<p></p><p>")


def test_the_page_shows_every_proof_and_every_result(result):
    for proof in result.findings.proofs:
        assert f'<h3 id="{proof.to_json()["name"]}">' in result.html
    for one in result.findings.runs:
        assert one.name in result.html
        assert f"{one.correct} of {len(one.predictions)}" in result.html
    for fact in result.findings.facts.values():
        assert fact in result.html
    assert "CC BY 4.0" in result.html


def test_the_page_says_where_the_kernels_ran(result):
    assert "not run on a GPU" in result.html
    assert "not run on a GPU" in result.summary
    check = replace(result.findings.check, on_gpu=True, device="Imaginary 3000")
    findings = replace(result.findings, check=check)
    assert "not run on a GPU" not in report(findings) + summary(findings)
    assert "on the GPU Imaginary 3000" in summary(findings)
    assert where(check) == "the GPU Imaginary 3000"


def test_a_failure_is_shown_as_one(result):
    keep, update, reference = result.findings.runs
    errors = (Error("output", kernel=1.0, plain=0.0),)
    findings = replace(
        result.findings,
        runs=(keep, replace(update, losses=tuple(loss + 1 for loss in update.losses)), reference),
        check=replace(result.findings.check, errors=errors),
    )
    assert not findings.passed
    page = report(findings)
    assert page.count('<li class="bad">') == 2
    assert "do not have the same" in page
    assert "do not agree" in page
    assert "NOT the same" in summary(findings)
    assert "NOT within" in summary(findings)


def test_what_stands_in_a_step_is_escaped(result):
    assert "<b>" not in result.html
    assert mathml("a < b").startswith("<math")
    assert "&lt;" in mathml("a < b")


@pytest.mark.parametrize(
    ("latex", "lines"),
    [
        (r"\bar{h}_{t}", 1),
        (r"\overline{a b}", 1),
        (r"\bar{\tilde{n}}_{t}", 1),
        (r"\mathbf{U}^{\top} \overline{\mathbf{U} h_{t-1}} + \bar{h}^{\mathrm{later}}_{t-1}", 2),
        (r"\dot{h}_{t} + \tilde{n}", 0),
    ],
)
def test_a_line_over_a_value_is_a_border_that_spans_it(latex, lines):
    written = mathml(latex)
    assert written.count('<mrow class="over">') == lines
    assert not set(written) & {"\u00af", "\u2015"}, "no line is left as a character"
    assert _Page(written).open == []


def test_bars_and_dots_are_defined_where_everybody_sees_it(result):
    outside = re.sub(r"<details>.*?</details>", "", result.html, flags=re.DOTALL)
    assert "marks its cotangent" in outside
    assert "its tangent, the derivative along a direction" in outside


def test_the_page_has_no_times(result):
    assert "seconds" not in result.html
    assert not re.search(r"\d s<", result.html)


def test_the_page_says_what_is_calculated_and_what_is_stated(result):
    proofs = [proof.to_json() for proof in result.findings.proofs]
    calculations = sum(proof.get("calculations", 0) for proof in proofs)
    assert f"{calculations} calculations checked by SymPy" in result.html
    assert f"{calculations} calculations checked by SymPy" in result.summary
    assert "rule: induction over time" in result.html
    for proof in proofs:
        for group in proof.get("equations", ()):
            assert f"Equations: {escape(group['title'])}" in result.html


def test_nested_lists_have_no_quotation_marks():
    assert nested([["1/2", "3"], ["4", "5"]]) == "[[1/2, 3], [4, 5]]"


# The command.


def test_the_command_writes_the_page_and_the_derivation(tmp_path, monkeypatch, result):
    monkeypatch.setattr(symgru.demo, "run", lambda settings: result)
    path = tmp_path / "report.html"
    found = CliRunner().invoke(main, ["demo", "--output", str(path), "--epochs", "2"])
    assert found.exit_code == 0, found.output
    assert path.read_text(encoding="utf-8") == result.html
    document = tmp_path / "report-derivation.md"
    assert found.stdout == f"{result.summary}\nderived   {document}\nreport    {path}\n"
    text = document.read_text(encoding="utf-8")
    assert "polarity keep" in text
    assert "polarity update" in text
    path.unlink()
    again = CliRunner().invoke(main, ["demo", "--output", str(path), "--epochs", "2"])
    assert again.exit_code == 1
    assert f"{document} exists; --force overwrites it" in again.stderr
    assert not path.exists()


def test_the_command_fails_when_something_does_not_hold(tmp_path, monkeypatch, result):
    wrong = replace(result.findings.check, errors=(Error("output", kernel=1.0, plain=0.0),))
    failed = replace(result, findings=replace(result.findings, check=wrong))
    monkeypatch.setattr(symgru.demo, "run", lambda settings: failed)
    path = tmp_path / "report.html"
    assert CliRunner().invoke(main, ["demo", "--output", str(path)]).exit_code == 1
    assert path.exists(), "the report of a failure is written too"


def test_the_command_says_why_the_check_could_not_run(tmp_path, monkeypatch):
    def fails(settings):
        raise KernelCheckError("the kernels could not be checked: no reason")

    monkeypatch.setattr(symgru.demo, "run", fails)
    found = CliRunner().invoke(main, ["demo", "--output", str(tmp_path / "report.html")])
    assert found.exit_code == 1
    assert "Error: the kernels could not be checked: no reason" in found.stderr
