"""The builder writes the statements that one would write by hand, and refuses what is ill-formed by name."""

import numpy as np
import pytest
import sympy as sp

from symgru.equations import (
    CellBuilder,
    Contract,
    Mean,
    Pointwise,
    Product,
    ProgramError,
    gru,
    mean,
    select,
    sigmoid,
    tanh,
)
from symgru.lowering.evaluate import evaluate


class Small(CellBuilder):
    """A builder with something of every kind declared, and those symbols."""

    def __init__(self):
        super().__init__("small", "Small cell", "a test")
        self.x, self.h, self.m = self.input("x", "I"), self.state("h", "H"), self.mask("m", "H")
        self.W, self.U = self.weight("W", "H", "I"), self.weight("U", "H", "H")
        self.b = self.bias("b", "H")

    def statements(self, value):
        """Those of the cell whose new state is this, as text."""
        self.update(self.h, value)
        return [str(s) for s in self.build().step]


def test_the_gru_in_nine_lines_is_the_gru():
    cell = CellBuilder("gru_keep_after", "GRU, polarity keep, reset after")
    x, h = cell.input("x", "I"), cell.state("h", "H")
    (W_r, W_z, W_n), (U_r, U_z, U_n) = (
        cell.weights(" ".join(f"{letter}_{gate}" for gate in "rzn"), "H", axis)
        for letter, axis in (("W", "I"), ("U", "H"))
    )
    b_r, b_z, b_n, c_n = cell.biases("b_r b_z b_n c_n", "H")
    r = cell.let("reset_gate", sigmoid(W_r @ x + U_r @ h + b_r))
    z = cell.let("update_gate", sigmoid(W_z @ x + U_z @ h + b_z))
    n = cell.let("candidate", tanh(W_n @ x + b_n + r * (U_n @ h + c_n)))
    cell.update(h, z * h + (1 - z) * n)
    built, written = cell.build(), gru("keep", "after")
    assert dict(built.step.inputs) == dict(written.step.inputs)
    assert built.carry == written.carry
    assert len(built.step.statements) == len(written.step.statements)
    assert built.step.definition(n) == written.step.definition(n)
    assert built.step.definition(h_new()) == written.step.definition(h_new())


def h_new():
    return sp.Symbol("h_new", real=True)


def test_parts_are_named_after_what_they_are_part_of():
    cell = Small()
    r = cell.let("gate", sigmoid(cell.W @ cell.x + cell.b))
    assert cell.statements(tanh(cell.U @ (r * cell.h)) + cell.h) == [
        "gate_from_x = W x",
        "gate_preactivation = b + gate_from_x",
        "gate = sigmoid(gate_preactivation)",
        "h_new_operand = gate*h_prev",
        "h_new_from_operand = U h_new_operand",
        "h_new_tanh = tanh(h_new_from_operand)",
        "h_new = h_new_tanh + h_prev",
    ]


def test_products_and_means_are_statements():
    cell = Small()
    u, v = cell.let("u", cell.U.T @ cell.h), cell.let("v", mean(cell.h))
    cell.update(cell.h, u + v)
    first, second, _ = cell.build().step
    assert first == Contract(u, (Product(cell.U.symbol, cell.h, transposed=True),))
    assert second == Mean(v, cell.h)


def test_a_value_that_is_computed_is_not_computed_again():
    cell = Small()
    u = cell.let("u", cell.W @ cell.x)
    cell.let("v", sigmoid(cell.W @ cell.x) + sigmoid(u))
    assert cell.statements(tanh(u)) == [
        "u = W x",
        "v_sigmoid = sigmoid(u)",
        "v = 2*v_sigmoid",
        "h_new = tanh(u)",
    ]


def test_made_up_names_avoid_those_that_are_taken():
    cell = Small()
    cell.let("u_from_x", cell.h)
    cell.let("u", cell.W @ cell.x + cell.U @ cell.h)
    targets = [s.partition(" = ")[0] for s in cell.statements(cell.h)]
    assert sorted(targets) == ["h_new", "u", "u_from_h_prev", "u_from_x", "u_from_x_2"]


def test_a_mask_chooses():
    cell = Small()
    cell.update(cell.h, select(cell.m, cell.W @ cell.x, cell.b))
    *_, last = cell.build().step
    assert last == Pointwise(h_new(), select(cell.m, sp.Symbol("h_new_from_x", real=True), cell.b))


@pytest.mark.parametrize("centre", [True, False])
def test_layer_norm_of_several_vectors_is_that_of_all_their_units(centre):
    cell = Small()
    vectors = [cell.W @ cell.x + cell.b, cell.U @ cell.h]
    one, other = cell.layer_norm("n", vectors, sp.Rational(1, 10**6), centre=centre)
    cell.update(cell.h, one + other)
    rng = np.random.default_rng(0)
    shapes = {"x": (3, 4), "h_prev": (3, 5), "W": (5, 4), "U": (5, 5), "b": (5,), "m": (3, 5)}
    values = evaluate(cell.build().step, {name: rng.standard_normal(s) for name, s in shapes.items()})
    found, raw = (np.concatenate((values[f"{n}_1"], values[f"{n}_2"]), -1) for n in ("n", "n_raw"))
    raw = raw - raw.mean(-1, keepdims=True) * centre
    assert np.abs(found - raw / np.sqrt((raw**2).mean(-1, keepdims=True) + 1e-6)).max() < 1e-12


def test_layer_norm_of_one_vector_keeps_its_name():
    cell = Small()
    (only,) = cell.layer_norm("n", [cell.h], sp.Rational(1, 10))
    assert str(only) == "n"
    assert "n_centre = mean h_prev" in cell.statements(only)


# What is refused, at the line that is wrong, with the names of cell and statement.

Q, V = sp.symbols("q v", real=True)


@pytest.mark.parametrize(
    ("write", "complaint"),
    [
        (lambda c: c.let("u", c.h + Q), "'u = h_prev + q' reads q, which nothing before it defines"),
        (lambda c: c.let("u", c.U @ Q), "reads q, which nothing before it defines"),
        (lambda c: c.let("v", c.let("u", c.h + V)), "'u = h_prev + v' reads v, which nothing before it"),
        (lambda c: c.let("u", c.h + h_new()), "'u = h_new + h_prev' reads h_new, which nothing before it"),
        (lambda c: c.let("u", c.h + sp.Symbol("b")), "reads b, another symbol than the cell's of that name"),
        (lambda c: c.let("u", c.x + c.h), "'u = h_prev + x' has values on different axes: ['H', 'I']"),
        (lambda c: c.let("u", c.W @ c.h), "'u = W h_prev': W h_prev has I columns but a vector of H units"),
        (lambda c: c.let("u", c.W.T @ c.x), "'u = Wᵀ x': Wᵀ x has H columns but a vector of I units"),
        (
            lambda c: c.let("u", tanh(c.U @ c.x)),
            "'u_from_x = U x': U x has H columns",
        ),
        (lambda c: c.let("u", c.U @ c.b), "'u = U b' needs a vector, but b has shape [H]"),
        (lambda c: c.let("u", c.W.symbol * c.x), "'u = W*x' uses the matrix W [H, I] unit by unit"),
        (lambda c: c.update(c.h, c.W.T @ c.h), "state h_prev [T, B, H] becomes h_new [T, B, I]"),
        (lambda c: c.let("u", sp.sin(c.h)), "'u = sin(h_prev)' uses the unknown function sin; known are "),
        (lambda c: c.let("u", sp.sin(c.U @ c.h)), "'u = sin(u_from_h_prev)' uses the unknown function sin"),
        (lambda c: c.let("u", c.h / c.b), "'u = h_prev/b' has the power 1/b, expected a whole exponent"),
        (lambda c: c.let("u", sp.pi * c.h), "'u = pi*h_prev' has Pi, which is not one of"),
        (lambda c: c.let("u", c.h / 2 + 0.5), "' has the float 0.5"),
        (lambda c: c.let("u", tanh(0.1 * c.h)), "; numbers are exact here, such as sympy.Rational(1, 2)"),
        (lambda c: c.let("u", 1), "u is to be an expression of its symbols, got 1"),
        (lambda c: c.let("u", "h_prev"), "u is to be an expression of its symbols, got 'h_prev'"),
        (lambda c: c.let("x", c.h), "there is a x already"),
        (lambda c: c.input("b", "I"), "there is a b already"),
        (lambda c: c.weights("V W", "H", "I"), "there is a W already"),
        (lambda c: c.state("h", "H"), "there is a h_prev already"),
        (lambda c: (c.update(c.h, c.h), c.update(c.h, c.b)), "there is a h_new already"),
        (lambda c: c.update(c.x, c.x), "x is no state; states are h_prev"),
        (lambda c: c.build(), "state h_prev is never updated"),
        (lambda c: c.update(c.h, select(c.m, c.h, c.b) + c.m), "reads the mask m as a number"),
        (lambda c: c.let("u", select(c.let("v", c.h), c.h, c.b)), "chooses by v, expected a mask among"),
        (lambda c: c.let("x; import os", c.h), "'x; import os' cannot be a name: expected letters, digits"),
        (lambda c: c.input("__import__('os')", "I"), "cannot be a name: expected letters, digits and _"),
        (lambda c: c.state("h.__class__", "H"), "'h.__class___prev' cannot be a name"),
        (
            lambda c: c.bias("lambda", "H"),
            "'lambda' cannot be a name: expected",
        ),
        (lambda c: c.layer_norm("n", [c.h], 1e-5), "n needs a positive sympy.Rational as epsilon, got 1e-05"),
        (
            lambda c: c.layer_norm("n", [c.h], sp.S.Zero),
            "n needs a positive sympy.Rational",
        ),
    ],
)
def test_what_is_ill_formed_is_named(write, complaint):
    cell = Small()
    with pytest.raises(ProgramError) as error:  # noqa: PT012 - some of it is seen when the cell is complete
        write(cell)
        cell.build()
    assert str(error.value).startswith("cell small: ")
    assert complaint in str(error.value)


def test_a_cell_without_a_state_is_refused():
    with pytest.raises(ProgramError, match="cell none: there is no state"):
        CellBuilder("none").build()


@pytest.mark.parametrize("name", ["", "a b", "../../etc/passwd", "x; import os", "é"])
def test_a_cell_has_a_name_that_can_be_a_file(name):
    with pytest.raises(ProgramError, match="cannot name a cell: expected letters, digits and _"):
        CellBuilder(name)


def test_a_text_is_not_read_as_an_expression():
    """SymPy's functions pass texts to its parser, which evaluates them."""
    with pytest.raises(ProgramError, match="expected an expression of a cell's symbols"):
        Small().U @ "__import__('os').abort()"
