"""Published backward equations, as they stand: which lines are wrong, and which are not."""

from pathlib import Path

import pytest

from symgru.formulas import Status, check_formulas

DATA = Path(__file__).parent / "data"
RIGHT, WRONG, INHERITED, DEFINITION = Status.RIGHT, Status.WRONG, Status.INHERITED, Status.DEFINITION


@pytest.fixture(scope="module")
def reports():
    return {path.stem: check_formulas(path.read_text(encoding="utf-8")) for path in DATA.glob("*.txt")}


def of_status(report, *statuses):
    """The left sides of the lines with these verdicts, and how often each."""
    return [line.text.partition("=")[0].strip() for line in report.lines if line.status in statuses]


def line(report, text):
    (found,) = [line for line in report.lines if line.text == text]
    return found


def test_there_is_one_file_for_each_publication():
    assert {path.stem for path in DATA.iterdir()} == {
        "cran_rnn_gru_units",
        "dl4j_gru_cell_bp",
        "pytorch_cuda_gru_cell",
        "tensorflow_gru_block_cell_grad",
    }


@pytest.mark.parametrize("name", sorted(path.stem for path in DATA.iterdir()))
def test_every_line_is_understood_and_judged(name, reports):
    assert not of_status(reports[name], Status.NOT_UNDERSTOOD, Status.NOT_JUDGED, Status.AGREES)


# PyTorch


def test_every_equation_of_pytorchs_fused_cell_is_right(reports):
    report = reports["pytorch_cuda_gru_cell"]
    assert of_status(report, WRONG, INHERITED, DEFINITION) == []
    backward = ["gig", "ghx", "gin", "ghn", "grg"]
    assert of_status(report, RIGHT)[3:8] == backward
    assert report.exit_status == 0


# TensorFlow


def test_tensorflows_documentation_is_wrong_in_six_lines(reports):
    report = reports["tensorflow_gru_block_cell_grad"]
    assert of_status(report, WRONG) == [
        "w_c",
        "d_x_component_1",
        "d_h_prev_componenet_1",
        "d_h_prev",
        "d_w_ru",
        "d_w_c",
    ]
    assert of_status(report, INHERITED) == ["[d_x_component_2 d_h_prevr]", "d_x"]
    assert report.exit_status == 1


def test_tensorflow_forgets_a_factor_of_u(reports):
    report = reports["tensorflow_gru_block_cell_grad"]
    stated_twice = [line for line in report.lines if line.text.startswith("d_h_prev =")]
    assert [line.status for line in stated_twice] == [RIGHT, WRONG]
    wrong = stated_twice[1]
    assert "d_h ∘ u" in wrong.right
    assert wrong.difference == "u - d_h ∘ u"
    assert wrong.witness is not None


def test_tensorflow_uses_one_weight_twice(reports):
    wrong = line(
        reports["tensorflow_gru_block_cell_grad"],
        "d_x_component_1 = d_r_bar * w_r_x^T + d_u_bar * w_r_x^T",
    )
    assert wrong.right == "d_x_component_1 = d_r_bar * w_r_x^T + d_u_bar * w_u_x^T"


def test_tensorflow_swaps_the_inputs_of_two_weight_gradients(reports):
    report = reports["tensorflow_gru_block_cell_grad"]
    w_ru = line(report, "d_w_ru = x_h_prevr^T * d_c_bar")
    assert "a matrix [I + H, H + H], the right side a matrix [I + H, H]" in w_ru.reason
    w_c = line(report, "d_w_c = x_h_prev^T * d_r_bar_u_bar")
    assert "a matrix [I + H, H], the right side a matrix [I + H, H + H]" in w_c.reason
    assert (w_ru.witness, w_c.witness) == (None, None)


def test_the_mended_documentation_of_tensorflow_is_right():
    text = (DATA / "tensorflow_gru_block_cell_grad.txt").read_text(encoding="utf-8")
    for wrong, right in (
        ("w_c = [w_c_x w_c_h_prevr]", "w_c = [w_c_x; w_c_h_prevr]"),
        ("d_u_bar * w_r_x^T", "d_u_bar * w_u_x^T"),
        ("d_u_bar * w_r_h_prev^T", "d_u_bar * w_u_h_prev^T"),
        (r"d_h_prevr \circ r + u", r"d_h_prevr \circ r + d_h \circ u"),
        ("d_w_ru = x_h_prevr^T * d_c_bar", "d_w_ru = x_h_prev^T * d_r_bar_u_bar"),
        ("d_w_c = x_h_prev^T * d_r_bar_u_bar", "d_w_c = x_h_prevr^T * d_c_bar"),
    ):
        assert text.count(wrong) == 1
        text = text.replace(wrong, right)
    report = check_formulas(text)
    assert {line.status for line in report.lines} == {RIGHT}


# The R package rnn


def test_all_gradients_of_the_vignette_of_rnn_are_wrong(reports):
    report = reports["cran_rnn_gru_units"]
    assert of_status(report, WRONG) == [
        "g_t",
        r"\delta 9",
        r"\delta 13",
        r"\delta 18",
        r"\delta 23",
        r"\delta 24",
        r"\delta W_r",
        r"\delta U_r",
        r"\delta W_g",
        r"\delta U_g",
    ]
    gradients = [r"\delta 23", r"\delta 24", *(rf"\delta {w}_{g}" for w in "WU" for g in "rzg")]
    assert set(gradients) <= set(of_status(report, WRONG, INHERITED))
    assert not set(gradients) & set(of_status(report, RIGHT))


def test_what_the_vignette_of_rnn_hands_on(reports):
    report = reports["cran_rnn_gru_units"]
    numbers = {line.text.partition("=")[0].strip(): line.number for line in report.lines}
    for name in (r"\delta 11", r"\delta W_z", r"\delta U_z"):
        (found,) = [line for line in report.lines if line.text.startswith(f"{name} =")]
        assert found.status is INHERITED
        assert found.because == (numbers[r"\delta 9"],)


def test_the_vignette_of_rnn_with_its_letters_exchanged():
    """Its backward pass uses W for what its forward pass calls U. Read so, fewer lines are wrong."""
    text = (DATA / "cran_rnn_gru_units.txt").read_text(encoding="utf-8")
    header, body = text.split("\n\n", 1)
    for gate, letters in (("r", "rf"), ("z", "zi"), ("n", "g")):
        for letter in letters:
            header = header.replace(f"  W_{letter} = U_{gate}\n", f"  W_{letter} = W_{gate}\n")
            header = header.replace(f"  U_{letter} = W_{gate}\n", f"  U_{letter} = U_{gate}\n")
    text = f"{header}\n\n{body}"
    backward = [line for line in check_formulas(text).lines if line.text.startswith(r"\delta")]
    wrong = [line.text.partition("=")[0].strip() for line in backward if line.status is WRONG]
    assert wrong == [r"\delta 9", r"\delta 18", *(rf"\delta {w}_{g}" for g in "rzg" for w in "WU")]


# Deeplearning4j


def test_deeplearning4j_is_wrong_in_two_lines(reports):
    report = reports["dl4j_gru_cell_bp"]
    assert of_status(report, WRONG) == ["dLdr", "dLdh0"]
    assert of_status(report, INHERITED) == ["dLdx", "dLdWxr", "dLdWhr", "dLdbr"]
    reset = line(report, "dLdr = dLdn * dndr")
    assert all(found.because == (reset.number,) for found in report.lines if found.status is INHERITED)
    right = ["dLdn", "dLdu", "dLdWxu", "dLdWhu", "dLdWxn", "dLdWhn", "dLdbu", "dLdbn"]
    assert set(right) <= set(of_status(report, RIGHT))


def test_the_error_of_deeplearning4j_shows_from_two_units_on(reports):
    """W(a b) and a (W b) are the same number for one unit."""
    reset = line(reports["dl4j_gru_cell_bp"], "dLdr = dLdn * dndr")
    assert reset.right == "dLdr = h0 * ((dLdn * (1 - n^2)) @ Whn^T)"
    assert reset.witness.sizes == {"samples": 1, "H": 2, "I": 2}
