import re

import pytest
import sympy as sp

from symgru.derivation import backward, forward, linearised, schedule, vjp
from symgru.equations import Contract, Outer, Pointwise, Product, Sum, gru, select, sigmoid, with_lengths
from symgru.equations.gru import CANDIDATE, H_PREV, RESET_GATE, U_N, UPDATE_GATE, W_N, X
from symgru.lowering import order
from symgru.lowering.latex import LatexPrinter
from symgru.lowering.notation import GRU
from symgru.lowering.printers import LoweringError
from symgru.lowering.unicode_text import TextPrinter

CELLS = [(polarity, reset) for polarity in ("keep", "update") for reset in ("before", "after", "whole")]


def symbol(name):
    return sp.Symbol(name, real=True)


def lines(program, printer=TextPrinter):
    written = printer(program)
    return [" = ".join(written.equation(s)) for s in program if not written.is_inlined(s)]


def test_the_published_step_reads_as_published():
    assert lines(gru("keep", "after").step) == [
        "a^r_t = W_r x_t + U_r h_{t−1} + b_r",
        "r_t = σ(a^r_t)",
        "a^z_t = W_z x_t + U_z h_{t−1} + b_z",
        "z_t = σ(a^z_t)",
        "a^n_t = W_n x_t + b_n + r_t ⊙ (U_n h_{t−1} + c_n)",
        "ñ_t = tanh(a^n_t)",
        "h_t = z_t ⊙ h_{t−1} + (1 − z_t) ⊙ ñ_t",
    ]


@pytest.mark.parametrize(
    ("polarity", "reset", "line"),
    [
        ("update", "after", "h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ ñ_t"),
        ("update", "before", "s_t = r_t ⊙ h_{t−1}"),
        ("keep", "before", "a^n_t = W_n x_t + U_n s_t + b_n"),
        ("keep", "whole", "a^n_t = r_t ⊙ (W_n x_t + U_n h_{t−1} + b_n)"),
    ],
)
def test_the_variants_read_as_published(polarity, reset, line):
    assert line in lines(gru(polarity, reset).step)


def test_latex_has_bold_matrices_and_the_candidate_with_its_tilde():
    found = lines(gru("keep", "after").step, LatexPrinter)
    assert r"a^{r}_{t} = \mathbf{W}_{r} x_{t} + \mathbf{U}_{r} h_{t-1} + b_{r}" in found
    assert r"h_{t} = z_{t} \odot h_{t-1} + (1 - z_{t}) \odot \tilde{n}_{t}" in found


@pytest.mark.parametrize(
    ("printer", "line"),
    [
        (TextPrinter, "∂L/∂U_n = Σ_{t,b} ∂L/∂(U_n h_{t−1}) h_{t−1}ᵀ"),
        (
            LatexPrinter,
            r"\bar{\mathbf{U}}_{n} = \sum_{t,b} \overline{\mathbf{U}_{n} h_{t-1}} h_{t-1}^{\top}",
        ),
        (TextPrinter, "∂L/∂c_n = Σ_{t,b} ∂L/∂(U_n h_{t−1})"),
        (TextPrinter, "∂L/∂x_t = W_rᵀ ∂L/∂a^r_t + W_zᵀ ∂L/∂a^z_t + W_nᵀ ∂L/∂a^n_t"),
    ],
)
def test_the_adjoints_of_the_other_kinds(printer, line):
    assert line in lines(vjp(gru("keep", "after").step), printer)


def all_statements(cell):
    ahead = forward(cell)
    for loop in (ahead, backward(ahead), linearised(ahead)):
        found = schedule(loop)
        yield (*found.before, *found.inside, *found.after)
        yield loop.step.statements


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize(("polarity", "reset"), CELLS)
def test_every_pass_of_every_cell_has_a_notation(polarity, reset, lengths):
    cell = gru(polarity, reset)
    for statements in all_statements(with_lengths(cell) if lengths else cell):
        for printer in (TextPrinter, LatexPrinter):
            for line in lines(statements, printer):
                assert not any(
                    raw in line for raw in ("from_", "per_", "gate", "prev", "candidate", "tangent")
                )


EXPRESSIONS = [
    (-H_PREV, "−h_{t−1}", "-h_{t-1}"),
    (H_PREV - CANDIDATE, "h_{t−1} − ñ_t", r"h_{t-1} - \tilde{n}_{t}"),
    (-H_PREV - CANDIDATE, "−h_{t−1} − ñ_t", r"-h_{t-1} - \tilde{n}_{t}"),
    (1 - CANDIDATE**2, "1 − ñ_t²", r"1 - \tilde{n}_{t}^{2}"),
    (H_PREV * (1 - UPDATE_GATE), "(1 − z_t) ⊙ h_{t−1}", r"(1 - z_{t}) \odot h_{t-1}"),
    (-H_PREV * UPDATE_GATE, "−z_t ⊙ h_{t−1}", r"-z_{t} \odot h_{t-1}"),
    (sp.Rational(-3, 2) * H_PREV, "−3/2 · h_{t−1}", r"-\tfrac{3}{2} \cdot h_{t-1}"),
    (symbol("reset_preactivation") ** 3, "(a^r_t)³", r"(a^{r}_{t})^{3}"),
    (sigmoid(-X), "σ(−x_t)", r"\sigma(-x_{t})"),
    (
        select(symbol("valid"), X, sp.S.Zero),
        "select(m_t, x_t, 0)",
        r"\operatorname{select}(m_{t}, x_{t}, 0)",
    ),
    (symbol("d_update_gate_per_d_h_new_2"), "J₂[z_t ← h_t]", r"J_{2}[z_{t} \leftarrow h_{t}]"),
    (symbol("reset_gate_complement"), "r^c_t", "r^{c}_{t}"),
    (symbol("tangent_h_prev"), "Dh_{t−1}", r"\dot{h}_{t-1}"),
    (symbol("d_b_n_per_step"), "∂L/∂b^{step}_n", r"\bar{b}^{\mathrm{step}}_{n}"),
]


@pytest.mark.parametrize(("expression", "text", "latex"), EXPRESSIONS, ids=lambda value: str(value))
def test_expressions(expression, text, latex):
    assert TextPrinter().expression(expression) == text
    assert LatexPrinter().expression(expression) == latex


def test_a_sum_of_products_is_in_brackets_where_it_is_a_factor():
    both = Contract(symbol("q"), (Product(W_N, X), Product(U_N, H_PREV)))
    product = Pointwise(symbol("reset_state"), RESET_GATE * symbol("q"))
    difference = Pointwise(symbol("candidate"), H_PREV - symbol("q"))
    printer = TextPrinter((both, product, difference))
    assert printer.equation(product)[1] == "r_t ⊙ (W_n x_t + U_n h_{t−1})"
    assert printer.equation(difference)[1] == "h_{t−1} − (W_n x_t + U_n h_{t−1})"


def test_sums_with_several_terms_are_in_brackets():
    assert TextPrinter().equation(Outer(W_N, ((CANDIDATE, X), (H_PREV, X))))[1] == (
        "Σ_{t,b} (ñ_t x_tᵀ + h_{t−1} x_tᵀ)"
    )
    assert TextPrinter().equation(Sum(symbol("b_n"), (CANDIDATE, H_PREV)))[1] == "Σ_{t,b} (ñ_t + h_{t−1})"


@pytest.mark.parametrize("printer", [TextPrinter, LatexPrinter])
@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        (sp.sin(X), "no function sin; known are sigmoid"),
        (1 / X, "no form for the power 1/x"),
        (sp.sqrt(X), r"no form for the power sqrt\(x\)"),
        (sp.pi * X, "no form for Pi: pi"),
        (symbol("wholly_unknown"), "no notation for the symbol wholly_unknown"),
        (symbol("d_wholly_unknown"), "no notation for the symbol wholly_unknown"),
    ],
    ids=str,
)
def test_what_is_unknown_is_named(printer, expression, complaint):
    with pytest.raises(LoweringError, match=complaint):
        printer().expression(expression)


ORDERED = [
    (H_PREV * (1 - UPDATE_GATE), "(1 − z_t) ⊙ h_{t−1}"),
    (RESET_GATE * (symbol("candidate_from_h") + symbol("c_n")), "r_t ⊙ (U_n h_{t−1} + c_n)"),
    (
        (1 - CANDIDATE**2) * (1 - UPDATE_GATE) * symbol("d_h_new"),
        "∂L/∂h_t ⊙ (1 − z_t) ⊙ (1 − ñ_t²)",
    ),
    (symbol("tangent_update_gate") * (H_PREV - CANDIDATE), "(h_{t−1} − ñ_t) ⊙ Dz_t"),
    (symbol("b_r") + symbol("reset_from_h") + symbol("reset_from_x"), "W_r x_t + U_r h_{t−1} + b_r"),
    (UPDATE_GATE * H_PREV + 1, "1 + z_t ⊙ h_{t−1}"),
    (
        symbol("d_h_prev_through_weights") + symbol("d_h_new") * UPDATE_GATE,
        "∂L/∂h_t ⊙ z_t + U_nᵀ ∂L/∂a^n_t",
    ),
    (H_PREV - CANDIDATE, "h_{t−1} − ñ_t"),
]


@pytest.mark.parametrize(("expression", "text"), ORDERED, ids=lambda value: str(value))
def test_the_order_of_factors_and_terms(expression, text):
    products = (
        Contract(symbol("reset_from_x"), (Product(symbol("W_r"), X),)),
        Contract(symbol("reset_from_h"), (Product(symbol("U_r"), H_PREV),)),
        Contract(symbol("candidate_from_h"), (Product(U_N, H_PREV),)),
        Contract(
            symbol("d_h_prev_through_weights"),
            (Product(U_N, symbol("d_candidate_preactivation"), transposed=True),),
        ),
    )
    assert TextPrinter(products).expression(expression) == text


def test_every_example_of_the_docstring_is_tested():
    shown = re.findall(r"^    (.+?)  ", order.__doc__, re.MULTILINE)
    assert sorted(shown) == sorted(text for _, text in ORDERED)


def test_an_alias_is_written_as_what_it_stands_for():
    notation = GRU.with_aliases({"d_h_prev": "d_h_prev_carried"})
    assert TextPrinter((), notation).symbol(symbol("d_h_prev")) == "∂L/∂h^{later}_{t−1}"
