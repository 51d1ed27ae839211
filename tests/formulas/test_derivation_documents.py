"""The project's own derivations, printed as documents, are right; with one slip of the pen they are wrong."""

from pathlib import Path

import pytest

from symgru.documents import derivation
from symgru.formulas import Status, check_formulas
from symgru.formulas.document import read
from symgru.formulas.parser import Style, parse_equation
from symgru.formulas.printer import to_text
from symgru.formulas.tree import Add, Apply, Equation, Multiply, Name, Power, Total, Transposed

CONVENTIONS = [(p, r) for p in ("keep", "update") for r in ("before", "after", "whole")]
PYTORCH = Path(__file__).parent / "data" / "pytorch_cuda_gru_cell.txt"


def document_text(polarity, reset, style):
    form = "text" if style is Style.PLAIN else "latex"
    document = derivation(polarity, reset)
    equations = [
        f"{getattr(equation.target, form)} = {getattr(equation.expression, form)}"
        for key in ("forward", "gradient")
        for group in document.section(key).groups
        for equation in group.equations
    ]
    return "\n".join([f"cell: gru {polarity} {reset}", f"style: {style.value}", *equations])


@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize(("polarity", "reset"), CONVENTIONS)
def test_every_equation_of_a_derivation_is_proved_right(polarity, reset, style):
    report = check_formulas(document_text(polarity, reset, style))
    assert len(report.lines) >= 22
    assert {line.status for line in report.lines} == {Status.RIGHT}, report.to_text()
    assert report.exit_status == 0


@pytest.mark.parametrize(("polarity", "reset"), CONVENTIONS)
def test_the_derivation_of_one_cell_is_wrong_for_another(polarity, reset):
    other = CONVENTIONS[(CONVENTIONS.index((polarity, reset)) + 3) % 6]
    text = document_text(polarity, reset, Style.PLAIN).partition("\n")[2]
    report = check_formulas(f"cell: gru {other[0]} {other[1]}\n{text}")
    assert report.exit_status == 1


# Planted errors: each changes one thing on the right side of one line.


def slips(node, names):
    """The node with one slip: a sign, a dropped term or factor, a transpose, a power or a mistaken name."""
    match node:
        case Name():
            yield from (other for other in names if other.key != node.key)
        case Add(terms):
            for i, (minus, part) in enumerate(terms):
                if len(terms) > 1:
                    yield Add((*terms[:i], *terms[i + 1 :]))
                yield Add((*terms[:i], (not minus, part), *terms[i + 1 :]))
                yield from (Add((*terms[:i], (minus, p), *terms[i + 1 :])) for p in slips(part, names))
        case Multiply(first, rest):
            for i in range(len(rest)):
                yield Multiply(first, (*rest[:i], *rest[i + 1 :])) if len(rest) > 1 else first
                sign, part = rest[i]
                yield from (
                    Multiply(first, (*rest[:i], (sign, p), *rest[i + 1 :])) for p in slips(part, names)
                )
            yield from (Multiply(p, rest) for p in slips(first, names))
        case Transposed(operand):
            yield operand
            yield from (Transposed(p) for p in slips(operand, names))
        case Power(base, exponent):
            yield Power(base, exponent + 1)
            yield base
        case Total(operand):
            yield from (Total(p) for p in slips(operand, names))
        case Apply():
            yield Apply("tanh" if node.function == "sigmoid" else "sigmoid", node.argument)
            yield from (Apply(node.function, p) for p in slips(node.argument, names))


def planted(text, names):
    """A file with every slip of every line, and how many there are."""
    document = read(text)
    header = text[: text.index(document.equations[0].text.strip()[:12])]
    wrong = []
    for line in document.equations:
        equation = parse_equation(line.text, document.style)
        for side in dict.fromkeys(slips(equation.sides[-1], names)):
            if side != equation.sides[-1]:
                wrong.append(to_text(Equation(equation.left, (side,)), document.style))
    return header, wrong


def assert_all_caught(header, wrong):
    assert wrong
    for begin in range(0, len(wrong), 250):
        report = check_formulas(header + "\n".join(wrong[begin : begin + 250]))
        missed = [line.text for line in report.lines if line.status is not Status.WRONG]
        assert not missed, missed


# Of each kind of value one that no equation confuses with another: a state, a gate and a bias.
NAMES = {
    Style.PLAIN: (Name("z", "t"), Name("b", "n"), Name("U", "n")),
    Style.LATEX: (Name("r", "t"), Name("W", "r"), Name("h", "t-1")),
}


def check_planted(polarity, reset, style, capsys):
    header, wrong = planted(document_text(polarity, reset, style), NAMES[style])
    assert_all_caught(header, wrong)
    with capsys.disabled():
        print(f"\n{len(wrong)} planted errors caught, gru {polarity} {reset}, {style.value}")


@pytest.mark.parametrize("style", Style)
def test_planted_errors_are_all_caught(style, capsys):
    check_planted("keep", "after", style, capsys)


@pytest.mark.thorough
@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize(("polarity", "reset"), CONVENTIONS)
def test_planted_errors_are_all_caught_in_every_convention(polarity, reset, style, capsys):
    check_planted(polarity, reset, style, capsys)


def test_planted_errors_in_pytorchs_equations_are_all_caught(capsys):
    header, wrong = planted(PYTORCH.read_text(encoding="utf-8"), (Name("ig"), Name("ng"), Name("x")))
    assert_all_caught(header, wrong)
    with capsys.disabled():
        print(f"\n{len(wrong)} planted errors caught in the equations of PyTorch")
