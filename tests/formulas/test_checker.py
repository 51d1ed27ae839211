"""What is said of single lines: proofs, errors handed on, names, conventions, limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgru.formulas import FormulaError, Status, check_formulas
from symgru.formulas.document import MAX_BYTES, decoded

RIGHT, WRONG, INHERITED = Status.RIGHT, Status.WRONG, Status.INHERITED
DEFINITION, NOT_UNDERSTOOD, NOT_JUDGED = Status.DEFINITION, Status.NOT_UNDERSTOOD, Status.NOT_JUDGED

HEADER = "cell: gru keep after\n"


def check(lines, header=HEADER):
    return check_formulas(header + lines).lines


def status(line, header=HEADER):
    (found,) = check(line, header)
    return found.status


# Proofs.


@pytest.mark.parametrize(
    "line",
    [
        "r_t = σ(W_r x_t + U_r h_{t-1} + b_r)",
        "r_t = sigmoid(b_r + U_r h_{t-1} + W_r x_t)",
        "r_t = 1 - sigmoid(-a_r)",
        "n_t = tanh(a_n)",
        "h_t = n_t + z_t * (h_{t-1} - n_t)",
        "h_t = (z_t) ⊙ h_{t-1} - (z_t - 1) ∘ n_t",
        "0 = h_t - h_t",
        "h_t - n_t = z_t * (h_{t-1} - n_t)",
        "dL/dz_t = dL/dh_t * (h_{t-1} - n_t)",
        "dL/da_z = dL/dz_t * z_t * (1 - z_t)",
        "dL/da_z = sigmoid'(a_z) * dL/dz_t",
        "dL/da_n = tanh'(a_n) * dL/dn_t",
        "dL/dz_t = dL/da_z / (z_t * (1 - z_t))",
        "dL/d(U_n h_{t-1}) = dL/da_n * r_t",
        "dL/d(U_n h_{t-1} + c_n) = dL/da_n * r_t",
        "dL/d(W_n x_t) = dL/da_n",
        "dL/dU_n = diag(r_t) dL/da_n h_{t-1}^T",
        "dL/dx_t = W_r^T dL/da_r + W_z^T dL/da_z + W_n^T dL/da_n",
        "dL/dx_t^T = dL/da_r^T W_r + dL/da_z^T W_z + dL/da_n^T W_n",
        "dL/dW_r = Σ_{t,b} dL/da_r x_t^T",
        "dL/dW_r += dL/da_r x_t^T",
        "dW_r = dW_r + da_r x_t^T",
        "[dL/db_r, dL/db_z] = [sum(da_r), sum(da_z)]",
        "h_t = y = z_t h_{t-1} + (1 - z_t) n_t",
        "h_t = z_t * h_{t-1} + (1 - z_t) * n_t = n_t + z_t * (h_{t-1} - n_t)",
        "mean(r_t + z_t) = mean(z_t) + mean(r_t)",
    ],
)
def test_a_right_line_is_proved_right(line):
    assert status(line) is RIGHT


@pytest.mark.parametrize(
    ("line", "difference"),
    [
        ("h_t = (1 - z_t) * h_{t-1} + z_t * n_t", "(2 * z_t - 1) * (n_t - h_{t-1})"),
        ("n_t = tanh(a_n) + 1", "1"),
        ("dL/dz_t = dL/dh_t * (n_t - h_{t-1})", "2 * dL/dh_t * (n_t - h_{t-1})"),
        ("dL/da_z = dL/dz_t * z_t", None),
        ("dL/dU_n = dL/da_n h_{t-1}^T", None),
        ("dL/dU_r = dL/da_r h_t^T", None),
        ("dL/db_r = 2 * sum(dL/da_r)", None),
        ("dL/dh_{t-1} = U_r dL/da_r", None),
        ("dL/dx_t = 0", None),
        ("0 = h_t", None),
        ("h_t = z_t * h_{t-1} + (1 - z_t) * n_t = h_{t-1}", None),
    ],
)
def test_a_wrong_line_has_difference_and_witness(line, difference):
    (found,) = check(line)
    assert found.status is WRONG
    assert found.difference
    assert difference in (None, found.difference)
    assert found.witness is not None
    assert found.witness.user != found.witness.right


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("dL/dx_t = W_r dL/da_r", "cannot multiply a matrix [H, I] and a column of H"),
        ("dL/dW_r = x_t dL/da_r^T", "the left side is a matrix [H, I], the right side a matrix [I, H]"),
        ("dL/dW_r = dL/da_r", "the left side is a matrix [H, I], the right side a column of H"),
        ("dL/dW_r = sum(dL/da_r)", "the right side a column of H, the same at all steps"),
        ("h_t = x_t", "the left side is a column of H, the right side a column of I"),
        ("h_t = h_{t-1}^T", "the right side a row of H"),
        ("h_t = W_r + h_{t-1}", "cannot add a matrix [H, I] and a column of H"),
        ("h_t = x_t ⊙ h_{t-1}", "cannot multiply unit by unit a column of I and a column of H"),
        ("h_t = x_t^T x_t", "an inner product, a single number"),
        ("h_t = tanh(U_r)", "tanh of a matrix [H, H]"),
        ("h_t = U_r^2", "a power of a matrix [H, H]"),
        ("dL/db_r = Σ U_r", "which does not vary over them"),
        ("[h_t, x_t] = h_t", "2 names on the left"),
        ("new = W_r x_t + U_r x_t", "cannot multiply a matrix [H, H] and a column of I"),
        ("new = [W_r, U_r; U_z]", None),
    ],
)
def test_shapes_that_cannot_fit_are_wrong_with_that_reason(line, reason):
    (found,) = check(line)
    if reason is None:
        assert found.status is NOT_UNDERSTOOD
    else:
        assert found.status is WRONG
        assert reason in found.reason
        assert found.witness is None


@pytest.mark.parametrize(
    "line", ["r_t = 1/(1 + exp(-a_r))", "n_t = (exp(a_n) - exp(-a_n)) / (exp(a_n) + exp(-a_n))"]
)
def test_what_agrees_without_a_proof_is_not_called_right(line):
    report = check_formulas(HEADER + line)
    (found,) = report.lines
    assert found.status is Status.AGREES
    assert "not proved" in report.summary
    assert report.exit_status == 0


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("h_t = q + 1", "the name q is not known"),
        ("h_t = 1/0", "a division by zero"),
        ("h_t = exp(exp(exp(exp(1000))))", "has no value"),
        ("h_t = (dL/da_r x_t^T) x_t", "a product with a sum of outer products is not supported"),
        ("dL/dq = 1", "the name q is not known"),
        ("dL/d(r_t + x_t + 3) = 1", "cannot add"),
        ("dL/d(r_t * n_t * n_t) = 1", "not a value of the cell"),
        ("a = a", "the name a is not known"),
        ("h_t = log(z_t)", "the name log is not known"),
    ],
)
def test_what_has_no_meaning_is_not_understood(line, reason):
    (found,) = check(line)
    assert found.status in (NOT_UNDERSTOOD, WRONG)
    assert reason in found.reason


def test_large_terms_are_judged_by_numbers():
    lines = ["p = (r_t + z_t + n_t + h_{t-1})^8", "q = (p + r_t)^8 * p", "s2 = (q + p)^8", "s3 = (s2 * q)^8"]
    found = check("\n".join([*lines, "dL/dh_{t-1} = U_r^T s3", "r_t = r_t + s3 - s3"]))
    assert [line.status for line in found] == [DEFINITION] * 4 + [WRONG, RIGHT]


def test_endless_growth_is_refused():
    lines = [
        "p = r_t + z_t * h_{t-1}",
        *(f"p{i} = (p{i - 1} + r_t) * (p{i - 1} + z_t)" for i in range(1, 40)),
    ]
    found = check("\n".join(lines).replace("p0", "p"))
    assert any("too many terms" in line.reason for line in found)
    assert found[-1].status is NOT_JUDGED


# Errors that are handed on.

CHAIN = """\
dL/dz_t = dL/dh_t * (n_t - h_{t-1})
dL/da_z = dL/dz_t * z_t * (1 - z_t)
double = 2 * dL/da_z
dL/dU_z = dL/da_z h_{t-1}^T
dL/dU_r = dL/da_r h_{t-1}^T
"""


def test_a_wrong_line_does_not_make_later_lines_wrong():
    found = check(CHAIN)
    assert [line.status for line in found] == [WRONG, INHERITED, DEFINITION, INHERITED, RIGHT]
    assert [line.because for line in found] == [(), (2,), (), (2,), ()]
    assert "only because line 2 is" in found[1].reason


def test_a_wrong_definition_hands_its_error_on():
    found = check(CHAIN + "dL/db_z = sum(double) / 2\ndL/db_r = sum(dL/da_r)")
    assert (found[-2].status, found[-2].because) == (INHERITED, (2,))
    assert found[-1].status is RIGHT


def test_two_errors_that_cancel_are_seen():
    found = check(CHAIN + "dL/db_z = -sum(dL/da_z)")
    assert found[-1].status is WRONG
    assert "two errors cancel" in found[-1].notes[0]


def test_a_line_without_a_value_hands_nothing_on():
    found = check("dL/da_z = W_r dL/dz_t\ndL/dU_z = dL/da_z h_{t-1}^T\nq = tanh(W_r)\np = q + 1\nq2 = p")
    assert [line.status for line in found] == [WRONG, INHERITED, WRONG, NOT_JUDGED, NOT_JUDGED]
    assert "no value as it stands" in found[1].reason
    assert "see line 4" in found[3].reason


def test_a_name_that_two_lines_define_differently_is_wrong():
    found = check("p = r_t + z_t\np = z_t + r_t\np = r_t - z_t")
    assert [line.status for line in found] == [DEFINITION, RIGHT, WRONG]


# Names and conventions.


def test_a_definition_that_is_a_known_derivative_is_named():
    (found,) = check("g = dL/dh_t * (1 - z_t) * (1 - n_t^2)", HEADER + "new: g\n")
    assert found.status is DEFINITION
    assert found.notes == ("this is dL/da with n_t = f(a)",)


def test_error_signals_are_the_derivative_by_a_gate_or_its_argument():
    found = check(
        "δ_z = dL/dh_t * (h_{t-1} - n_t) * z_t * (1 - z_t)\n"
        "δ_n = dL/dh_t * (1 - z_t)\nδ_r = dL/dh_t\nδ_q = r_t"
    )
    assert [line.status for line in found] == [RIGHT, RIGHT, WRONG, DEFINITION]
    assert found[0].notes == ("read as dL/da with z = f(a)",)
    assert found[1].notes == ("read as dL/dn",)
    assert "'new: …' in the header" in found[2].notes[-1]
    assert status("δ_r = dL/dh_t", HEADER + "new: δ_r\n") is DEFINITION


def test_the_header_gives_names_a_meaning():
    header = HEADER + "names:\n  old = h_prev\n  err = dL/dh_t\n  both = [x_t, old]\n  W = [W_r, U_r]\n"
    assert status("dL/da_r = r_t * err", header) is WRONG
    assert status("dL/dz_t = err * (old - n_t)", header) is RIGHT
    assert status("r_t = sigmoid(W both + b_r)", header) is RIGHT
    assert status("dL/dW = dL/da_r both^T", header) is RIGHT
    (wrong,) = check("dL/dz_t = err * old", header)
    assert wrong.right == "dL/dz_t = err * (old - n~_t)"


def test_names_can_be_exchanged():
    header = HEADER + "names:\n  W_r = U_r\n  U_r = W_r\n"
    assert status("r_t = sigmoid(W_r h_{t-1} + U_r x_t + b_r)", header) is RIGHT
    assert status("r_t = sigmoid(W_r x_t + U_r h_{t-1} + b_r)", header) is WRONG


def test_a_circle_in_the_header_is_not_understood():
    (found,) = check("h_t = p", HEADER + "names:\n  p = q\n  q = p\n")
    assert found.status is NOT_UNDERSTOOD


def test_parameters_can_be_left_out():
    assert status("r_t = sigmoid(W_r x_t + U_r h_{t-1})") is WRONG
    assert status("r_t = sigmoid(W_r x_t + U_r h_{t-1})", HEADER + "zero: b_r\n") is RIGHT


def test_further_inputs_can_be_given():
    header = HEADER + "given:\n  b_hr = bias H\nnames:\n  b_ir = b_r - b_hr\n"
    assert status("r_t = sigmoid(W_r x_t + b_ir + U_r h_{t-1} + b_hr)", header) is RIGHT
    assert status("r_t = sigmoid(W_r x_t + b_ir + U_r h_{t-1})", header) is WRONG


def test_the_derivative_of_a_state_comes_from_above_and_from_later():
    header = HEADER + "names:\n  top = d_h_new_output\n  later = d_h_new_carried\n"
    assert status("dL/dh_t = top + later", header) is RIGHT
    assert status("dL/dh_t = top - later", header) is WRONG


def test_the_cell_state_of_an_lstm_reaches_the_loss_in_two_ways():
    header = "cell: lstm\nnames:\n  dc_later = d_c_new\n"
    total = "dL/dc_t = dc_later + dL/dh_t * o_t * (1 - tanh(c_t)^2)\ndL/dc_{t-1} = dL/dc_t * f_t"
    assert [line.status for line in check(total, header)] == [RIGHT, RIGHT]
    assert status("dL/dc_t = dL/dh_t * o_t * (1 - tanh(c_t)^2)", header) is WRONG


@pytest.mark.parametrize(
    ("vectors", "line", "expected"),
    [
        ("rows", "r_t = sigmoid(x_t W_r + h_{t-1} U_r + b_r)", RIGHT),
        ("rows", "dL/dW_r = x_t^T dL/da_r", RIGHT),
        ("rows", "dL/dx_t = dL/da_r W_r^T + dL/da_z W_z^T + dL/da_n W_n^T", RIGHT),
        ("rows", "r_t = sigmoid(W_r x_t + U_r h_{t-1} + b_r)", WRONG),
        ("columns", "r_t = sigmoid(x_t W_r + h_{t-1} U_r + b_r)", WRONG),
        ("columns", "dL/dW_r = x_t^T dL/da_r", WRONG),
    ],
)
def test_vectors_are_rows_or_columns(vectors, line, expected):
    assert status(line, HEADER + f"vectors: {vectors}\n") is expected


def test_primes_are_of_arguments_or_outputs():
    assert status("dL/da_r = dL/dr_t * sigmoid'(a_r)") is RIGHT
    assert status("dL/da_r = dL/dr_t * sigmoid'(r_t)") is WRONG
    assert status("dL/da_r = dL/dr_t * sigmoid'(r_t)", HEADER + "primes: outputs\n") is RIGHT


def test_a_gradient_of_one_step_is_right_with_a_note():
    (found,) = check("dL/db_r = dL/da_r")
    assert found.status is RIGHT
    assert "for one step of one sequence" in found.notes[0]


# A cell of one's own.

OWN = """\
f = sigmoid(W_f x_t + U_f h_{t-1} + b_f)
n = tanh(W_n x_t + U_n (f * h_{t-1}))
h_t = h_{t-1} + f * (n - h_{t-1})
"""


def test_a_cell_of_ones_own_is_differentiated():
    found = check(
        OWN + "δ_f = (dL/df) * f * (1 - f)\ndL/dU_f = δ_f h_{t-1}^T\ndL/df = dL/dh_t * n", "cell: own\n"
    )
    assert [line.status for line in found[:3]] == [DEFINITION] * 3
    assert "the cell is complete" in found[2].notes[0]
    assert [line.status for line in found[3:]] == [RIGHT, RIGHT, WRONG]


def test_the_loss_has_no_derivative_by_a_part_that_nothing_reads():
    lines = "q = tanh(W_q x_t)\nh_t = tanh(W_x x_t + U_h h_{t-1})\ndL/d(W_q x_t) = 0"
    found = check(lines, "cell: own\n")[-1]
    assert found.status is NOT_UNDERSTOOD
    assert "so the loss has no derivative by it here" in found.reason


def test_its_own_derivation_of_a_gru_agrees_with_the_library():
    forward = """\
r_t = sigmoid(W_r x_t + U_r h_{t-1} + b_r)
z_t = sigmoid(W_z x_t + U_z h_{t-1} + b_z)
n_t = tanh(W_n x_t + b_n + r_t * (U_n h_{t-1} + c_n))
h_t = z_t * h_{t-1} + (1 - z_t) * n_t
"""
    backward = """\
δ_n = dL/dh_t * (1 - z_t) * (1 - n_t^2)
δ_z = dL/dh_t * (h_{t-1} - n_t) * z_t * (1 - z_t)
δ_r = δ_n * (U_n h_{t-1} + c_n) * r_t * (1 - r_t)
dL/dh_{t-1} = dL/dh_t * z_t + U_n^T (δ_n * r_t) + U_z^T δ_z + U_r^T δ_r
dL/dc_n = sum(δ_n * r_t)
"""
    own = check(forward + backward, "cell: own\ngiven:\n  c_n = bias H\n")
    library = check(forward + backward)
    assert {line.status for line in own[4:]} == {line.status for line in library} == {RIGHT}


def test_an_own_cell_with_rows_and_two_states():
    lines = """\
g = tanh(x @ W_g + h_prev @ U_g)
c_new = keep * c_prev + g
h_new = tanh(c_new)
dL/dg = d_c_new + dL/dh_new * (1 - h_new^2)
dL/dkeep = (d_c_new + dL/dh_new * (1 - h_new^2)) * c_prev
"""
    header = """\
cell: own
vectors: rows
states: h_prev -> h_new; c_prev -> c_new
given:
  c_prev = vector H
  keep = vector H
"""
    found = check(lines, header)
    assert [line.status for line in found] == [DEFINITION] * 3 + [RIGHT, RIGHT]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("q = m_t * 2", "m_t is not defined before; if it is an input, declare it"),
        ("f = W_f x_t\nf = W_f x_t", "f is defined a second time"),
        ("dL/dx_t = 1", "expected 'name = …' until the cell is complete"),
        ("h_t = W x_t / h_{t-1}", "do not make a cell"),
    ],
)
def test_what_makes_no_cell_is_not_understood(lines, reason):
    report = check_formulas("cell: own\n" + lines)
    assert reason in report.lines[-1].reason
    assert "no line gives the state that leaves the step" in report.lines[-1].notes[-1]
    assert report.exit_status == 2


# The file.


@pytest.mark.parametrize(
    ("text", "place", "complaint"),
    [
        ("", (1, 1), "expected a header that begins with the cell"),
        ("h_t = z_t", (1, 1), "expected a header that begins with the cell"),
        ("cell: transformer\n", (1, 0), "no cell is called 'transformer'"),
        ("cell: own\nvectors: diagonal", (2, 1), "expected columns or rows"),
        ("cell: own\ncell: own", (2, 1), "a second 'cell:'"),
        ("cell: own\nnames:\n  h h_prev", (3, 1), "expected 'name = …'"),
        ("cell: own\nnames:\n  h = __import__('os')", (3, 7), "'_' is not expected"),
        ("cell: own\nnames:\n  h + x = y", (3, 3), "is not a name"),
        ("cell: own\ngiven:\n  y = tensor", (3, 7), "expected 'vector H', 'bias H' or 'matrix H I'"),
        ("cell: own\nstates: h, h_t", (2, 1), "expected 'h_{t-1} -> h_t'"),
        ("cell: gru keep after\nzero: b_q", (1, 0), "b_q after 'zero:' is not a parameter"),
    ],
)
def test_a_header_that_is_not_understood_is_refused_with_its_place(text, place, complaint):
    with pytest.raises(FormulaError) as refused:
        check_formulas(text)
    assert complaint in refused.value.message
    assert (refused.value.line, refused.value.column) == place


def test_a_file_that_is_no_text_is_refused():
    with pytest.raises(FormulaError, match="line 2, column 3: not UTF-8"):
        decoded(b"cell: own\nh \xff= 1")
    with pytest.raises(FormulaError, match="at most"):
        decoded(b"a" * (MAX_BYTES + 1))
    with pytest.raises(FormulaError, match="more than 300 equations"):
        check_formulas(HEADER + "h_t = h_t\n" * 301)


def test_the_dress_of_latex_is_ignored():
    text = r"""
\begin{align*}
  h_t &= z_t \odot h_{t-1} + \left(1 - z_t\right) \odot \tilde{n}_t, \\  % a comment
  \frac{\partial L}{\partial z_t} &= \bar{h}_t \odot (h_{t-1} - \tilde{n}_t). \label{eq:z} \nonumber
\end{align*}
$$ \tilde{n}_t = \tanh(a^n_t) $$
\[ r_t = \sigma\!\left(a^{r}_{t}\right) \tag{3} \]
"""
    assert [line.status for line in check(text)] == [RIGHT] * 4


def test_comments_and_code_endings_are_ignored():
    text = (
        "# comment\n% comment\n\nh_t = z_t * h_{t-1} + (1 - z_t) * n_t;  // blend\nn_t = tanh(a_n)  # new\n"
    )
    assert [line.number for line in check(text)] == [5, 6]
    assert {line.status for line in check(text)} == {RIGHT}


def test_the_column_of_an_error_counts_from_the_text_that_is_shown():
    (found,) = check("   h_t = z_t * nonsense")
    assert found.text[found.column - 1 :].startswith("nonsense")


@given(st.text(max_size=200))
def test_any_file_is_reported_on_or_refused(text):
    for header in ("", HEADER, "cell: own\n"):
        try:
            report = check_formulas(header + text)
        except FormulaError as refused:
            assert refused.message  # noqa: PT017 - either outcome is right, only another exception is not
        else:
            assert report.to_text()


NAMES = [
    "h_t",
    "h_{t-1}",
    "x_t",
    "r_t",
    "z_t",
    "n_t",
    "W_r",
    "U_r",
    "U_n",
    "b_r",
    "dh",
    "dL/da_r",
    "dL/dW_r",
    "q",
    "1",
]
formulas = st.recursive(
    st.sampled_from(NAMES),
    lambda parts: st.one_of(
        st.tuples(parts, st.sampled_from("*@ +-/⊙"), parts).map(" ".join),
        st.tuples(st.sampled_from(["tanh", "exp", "diag", "mean", "sum", "Σ ", "dL/d", "σ'", ""]), parts).map(
            "{0[0]}({0[1]})".format
        ),
        st.tuples(parts, st.sampled_from(["T", "0", "8"])).map("({0[0]})^{0[1]}".format),
        st.tuples(parts, st.sampled_from([", ", "; ", " "]), parts).map("[{0[0]}{0[1]}{0[2]}]".format),
    ),
    max_leaves=6,
)


@given(st.lists(st.tuples(st.sampled_from(NAMES) | formulas, formulas), min_size=1, max_size=4))
def test_any_formulas_are_judged_or_refused(equations):
    lines = "\n".join(map(" = ".join, equations))
    for header in (HEADER, HEADER + "vectors: rows\n", "cell: own\n", "cell: lstm\n"):
        report = check_formulas(header + lines)
        assert len(report.lines) == len(equations)
        assert report.to_text()
        assert len(report.to_json()["lines"]) == len(equations)
