import time
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from symgru.formulas import FormulaError
from symgru.formulas.parser import MAX_DEPTH, MAX_LINE, Style, parse_equation, parse_expression
from symgru.formulas.printer import to_text
from symgru.formulas.tree import (
    Add,
    Apply,
    Blocks,
    Derivative,
    Equation,
    Multiply,
    Name,
    Number,
    Power,
    Times,
    Total,
    Transposed,
    children,
)

PLAIN, LATEX = Style.PLAIN, Style.LATEX

# Syntax trees of equations, as both grammars can write them.

numbers = st.builds(Number, st.sampled_from([Fraction(n, 4) for n in range(40)]))
names = st.builds(
    Name,
    base=st.sampled_from(["x", "h", "W", "U", "delta", "h'", "Wx"]),
    subscript=st.sampled_from(["", "t", "t-1", "xr", "h,t"]),
    superscript=st.sampled_from(["", "r", "k,n"]),
    accent=st.sampled_from(["", "tilde", "bar", "hat", "dot"]),
).filter(lambda name: not (name.accent and name.base in ("delta", "Wx", "h'")))
derivatives = st.builds(Derivative, names)
signs = st.sampled_from([sign for sign in Times if sign is not Times.NOTHING])


def _compound(parts):
    pairs = st.tuples(signs, parts)
    chains = st.lists(parts, min_size=1, max_size=3).map(lambda p: tuple((Times.NOTHING, part) for part in p))
    terms = st.lists(st.tuples(st.booleans(), parts), min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Add, terms),
        st.builds(Add, parts.map(lambda part: ((True, part),))),
        st.builds(Multiply, parts, st.lists(pairs, min_size=1, max_size=3).map(tuple)),
        st.builds(Multiply, parts, chains),
        st.builds(Total, parts),
        st.builds(Transposed, parts),
        st.builds(Power, parts, st.integers(0, 8)),
        st.builds(Derivative, parts),
        st.builds(Apply, st.sampled_from(["sigmoid", "tanh", "exp", "diag", "mean"]), parts, st.booleans()),
        st.builds(Blocks, st.lists(parts, min_size=2, max_size=3).map(lambda p: (tuple(p),)), st.booleans()),
        st.builds(Blocks, st.lists(st.tuples(parts, parts), min_size=2, max_size=2).map(tuple)),
        st.builds(Blocks, st.lists(parts, min_size=2, max_size=3).map(lambda p: tuple((q,) for q in p))),
    )


expressions = st.recursive(st.one_of(numbers, names, derivatives), _compound, max_leaves=12)
equations = st.builds(
    Equation, expressions, st.lists(expressions, min_size=1, max_size=2).map(tuple)
) | st.builds(Equation, names, st.tuples(expressions), st.just(True))


@given(equations, st.sampled_from(Style))
def test_what_is_printed_reads_as_the_same_tree(equation, style):
    text = to_text(equation, style)
    assert parse_equation(text, style) == equation, text


@pytest.mark.parametrize(
    ("style", "text", "key"),
    [
        (PLAIN, "h_{t-1}", "h_{t-1}"),
        (PLAIN, "h_{t−1}", "h_{t-1}"),
        (PLAIN, "d_h_prev", "d_h_prev"),
        (PLAIN, "W_{xr}", "W_xr"),
        (PLAIN, "ñ_t", "n~_t"),
        (PLAIN, "n\u0303_t", "n~_t"),
        (PLAIN, "h~_t", "h~_t"),
        (PLAIN, "a^r_t", "a^r_t"),
        (PLAIN, "a^{r}_{t}", "a^r_t"),
        (LATEX, r"h_{t - 1}", "h_{t-1}"),
        (LATEX, r"h^{(t-1)}", "h_{t-1}"),
        (LATEX, r"h^{\langle t\rangle}", "h_t"),
        (LATEX, r"W_{xr}", "W_xr"),
        (LATEX, r"\mathbf{W}_{\mathrm{xr}}", "W_xr"),
        (LATEX, r"\boldsymbol{h}_t", "h_t"),
        (LATEX, r"\tilde{h}_t", "h~_t"),
        (LATEX, r"\widetilde h_t", "h~_t"),
        (LATEX, r"\tilde{\mathbf{h}}_{t}", "h~_t"),
        (LATEX, r"\bar{h}_t", "h%bar_t"),
        (LATEX, r"\delta 10", "delta_10"),
        (LATEX, r"\delta_{10}", "delta_10"),
    ],
)
def test_spellings_of_one_name_have_one_key(style, text, key):
    name = parse_expression(text, style)
    assert isinstance(name, Name)
    assert name.key == key


@pytest.mark.parametrize(
    ("style", "text"),
    [
        (PLAIN, "dL/dh_t"),
        (PLAIN, "∂L/∂h_t"),
        (PLAIN, "dE/dh_t"),
        (LATEX, r"\frac{\partial L}{\partial h_t}"),
        (LATEX, r"\dfrac{d\mathcal{L}}{dh_t}"),
        (LATEX, r"\partial L / \partial h_t"),
        (LATEX, r"\partial \ell/\partial h_t"),
        (LATEX, r"\nabla_{h_t} L"),
        (LATEX, r"\overline{h_t}"),
    ],
)
def test_derivatives_of_the_loss(style, text):
    assert parse_expression(text, style) == Derivative(Name("h", "t"))


@pytest.mark.parametrize(
    ("style", "text"),
    [
        (PLAIN, "W^T"),
        (PLAIN, "Wᵀ"),
        (PLAIN, "W.T"),
        (PLAIN, "transpose(W)"),
        (LATEX, "W^T"),
        (LATEX, r"W^\top"),
        (LATEX, r"W^{\mathsf{T}}"),
        (LATEX, r"{W}^{\intercal}"),
    ],
)
def test_transposes(style, text):
    assert parse_expression(text, style) == Transposed(Name("W"))


@pytest.mark.parametrize(
    "text", ["Σ d x^T", "Σ_{t,b} d x^T", "∑_t d x^T", "sum_t d x^T", "sum(d x^T)", "sum(d x^T, axis=0)"]
)
def test_sums_over_time_and_batch(text):
    product = Multiply(Name("d"), ((Times.NOTHING, Transposed(Name("x"))),))
    assert parse_expression(text, PLAIN) == Total(product)
    if text.startswith("Σ_"):
        assert parse_expression(r"\sum_{t=1}^{T} d x^\top", LATEX) == Total(product)


def test_juxtaposition_binds_tighter_than_an_operator():
    tight = Multiply(Name("U"), ((Times.NOTHING, Name("h")),))
    assert parse_expression("r * U h", PLAIN) == Multiply(Name("r"), ((Times.STAR, tight),))
    assert parse_expression(r"r \odot U h", LATEX) == Multiply(Name("r"), ((Times.CIRCLED, tight),))


def test_operators_bind_alike_from_the_left():
    three = Multiply(Name("a"), ((Times.STAR, Name("b")), (Times.MATRIX, Name("c"))))
    assert parse_expression("a * b @ c", PLAIN) == three
    assert parse_expression("a * (b @ c)", PLAIN) != three


def test_brackets_hold_values_side_by_side():
    assert parse_expression("[a, b]", PLAIN) == Blocks(((Name("a"), Name("b")),))
    assert parse_expression("[a b]", PLAIN) == Blocks(((Name("a"), Name("b")),), loose=True)
    matrix = Blocks(((Name("a"), Name("b")), (Name("c"), Name("d"))))
    assert parse_expression("[a b; c d]", PLAIN) == matrix
    assert parse_expression(r"\begin{bmatrix} a & b \\ c & d \end{bmatrix}", LATEX) == matrix
    assert parse_expression("[a]", PLAIN) == Name("a")


def test_powers():
    assert parse_expression("n_t²", PLAIN) == parse_expression("n_t^2", PLAIN) == Power(Name("n", "t"), 2)
    assert parse_expression(r"\tilde{n}_t^{2}", LATEX) == Power(Name("n", "t", accent="tilde"), 2)


@pytest.mark.parametrize("style", Style)
def test_every_node_knows_its_column(style):
    tree = parse_equation("a = b + c * (d - e) + [f, g]", style)
    nodes = [tree.left, *tree.sides]
    while nodes:
        node = nodes.pop()
        assert 1 <= node.column <= 28, node
        nodes += children(node)


# Hostile text.


@pytest.mark.parametrize(
    ("text", "column", "complaint"),
    [
        ("__import__('os')", 1, "'_' is not expected"),
        ("a = __import__('os').system('ls')", 5, "'_' is not expected"),
        ("a = (lambda: 0)()", 12, "':' is not expected"),
        ("a = b.__class__", 6, "'.' is not expected"),
        ("a = b^(10^10)", 6, "10^10"),
        ("a = b^{999999999999}", 6, "expected a whole number up to 8"),
        ("a = b^{9^9^9^9^9}", 6, "9^9^9^9^9"),
        ("a = 9" + "9" * 400, 5, "a number of 401 digits"),
        ("a = " + "(" * 1900 + "x", 5 + MAX_DEPTH, "more than 30 brackets"),
        ("a = " + "(" * 100_000, MAX_LINE + 1, "at most 2000 are read"),
        ("a = " + "[" * 1000, 5 + MAX_DEPTH, "more than 30 brackets"),
        ("a = " + "-" * 100 + "b", 6, "'-' is not expected"),
        ("a = b" + "^T" * 900, 1, "more than 500"),
        ("a = b" + " + b" * 400, 1, "more than 500"),
        ("a = b\0", 6, "U+0000"),
        ("a = b\u202ec", 6, "U+202E"),
        ("a = \u200bb", 5, "U+200B"),
        ("a = b ☃", 7, "☃"),
        ("a = 𝔥", 5, "𝔥"),
        ("a = б", 5, "б"),
        ("a = b; c = d", 6, "';' is not expected"),
        ("", 1, "the line ends"),
        ("a =", 4, "the line ends"),
        ("= a", 1, "is not expected"),
        ("a", 2, "the line ends"),
        ("a = f(b", 8, "the line ends"),
        ("a = b)", 6, "is not expected"),
        ("a = [b, c; d]", 5, "rows of different lengths"),
        ("a = (b + c)_t", 12, "does not stand on a name"),
        ("a = Σ_{i,j} b", 5, "does not run over time t and batch b"),
    ],
)
def test_hostile_or_broken_text_is_refused_with_its_place(text, column, complaint):
    with pytest.raises(FormulaError) as refused:
        parse_equation(text, PLAIN)
    assert complaint in refused.value.message
    assert refused.value.column == column or complaint.startswith("more than 500")
    assert refused.value.column >= 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (r"\input{/etc/passwd} = 3", r"the command \input is not known"),
        (r"a = \def\a{b}", r"the command \def is not known"),
        (r"a = \write18{ls}", r"the command \write is not known"),
        (r"a = \csname x\endcsname", r"the command \csname is not known"),
        (r"a = \catcode`\%=12", r"the command \catcode is not known"),
        (r"a = b^{{{{{{c}}}}}}", "is not expected"),
        (r"a = \frac{b}{", "the line ends"),
        (r"a = W^{-1} x", "expected a whole number up to 8"),
        (r"a = \sum_{j} W_{ij} x_j", "does not run over time t and batch b"),
    ],
)
def test_hostile_or_broken_latex_is_refused_with_its_place(text, complaint):
    with pytest.raises(FormulaError) as refused:
        parse_equation(text, LATEX)
    assert complaint in refused.value.message
    assert refused.value.column >= 1


WORDS = [
    *"aσ()[]{}=+-*@/,;&1Σ'~",
    *(
        "W_r",
        "h_{t-1}",
        "^T",
        "^2",
        "^{x}",
        "_t",
        "+=",
        "0.5",
        "sum_t",
        "sum(",
        "tanh(",
        "σ(",
        "dL/d",
        "diag(",
    ),
    *(
        r"\frac",
        r"\sigma",
        r"\tilde",
        r"\bar",
        r"\sum",
        r"\partial",
        r"\left",
        r"\right",
        r"\delta",
        r"\odot",
    ),
    *(r"\begin{bmatrix}", r"\end{bmatrix}", r"\overline", r"\nabla_{", r"\frac{\partial L}{\partial"),
]


def complaint(text, style):
    """What is said of a text; None if it is read."""
    try:
        parse_equation(text, style)
    except FormulaError as refused:
        return refused
    return None


@given(
    st.text(max_size=60) | st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join), st.sampled_from(Style)
)
@example("a = ~", LATEX)
@example("\\", LATEX)
def test_any_text_is_read_or_refused_with_its_place(text, style):
    refused = complaint(text, style)
    assert refused is None or (refused.column >= 1 and refused.message)


def test_hostile_text_is_refused_quickly():
    begin = time.process_time()
    for text in ("a = " + "(" * 10**6, "a = " + "{" * 1900, "_" * 10**6, "\\" * 1999, "a = " + "b^{c" * 480):
        for style in Style:
            with pytest.raises(FormulaError):
                parse_equation(text, style)
    assert time.process_time() - begin < 5  # a guard against exponential time, far above what it takes
