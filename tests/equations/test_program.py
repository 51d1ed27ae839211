"""Ill-formed programs are refused with the statement named."""

import pytest
import sympy as sp

from symgru.equations import (
    Cell,
    Contract,
    Mean,
    Outer,
    Pointwise,
    Product,
    Program,
    ProgramError,
    Sum,
    bias,
    matrix,
    select,
    sigmoid,
    vector,
)

x, u, v, w, b, m, q = sp.symbols("x u v w b m q", real=True)
INPUTS = {x: vector("I"), v: vector("H"), m: vector("H"), w: matrix("H", "I"), b: bias("H")}


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (
            [Pointwise(u, v + sp.Symbol("q", real=True))],
            "'u = q \\+ v' reads q, which nothing before it defines",
        ),
        ([Pointwise(v, b)], "'v = b' defines v a second time"),
        ([Pointwise(u, v + x)], "'u = v \\+ x' has values on different axes"),
        ([Pointwise(u, sp.sin(v))], "unknown function sin; known are exp, relu, rsqrt"),
        ([Pointwise(u, sp.Max(v, b))], "has Max, which is not one of"),
        ([Pointwise(u, 0.5 * v)], "has Float, which is not one of"),
        ([Pointwise(u, sp.pi * v)], "has Pi, which is not one of"),
        ([Pointwise(u, 1 / v)], "has the power 1/v, expected a whole exponent of 2 or more"),
        ([Pointwise(u, sp.sqrt(v))], "has the power sqrt\\(v\\), expected a whole exponent"),
        (
            [Pointwise(u, select(sigmoid(v), v, b))],
            "chooses by sigmoid\\(v\\), expected a mask among the inputs",
        ),
        (
            [Pointwise(q, v + b), Pointwise(u, select(q, v, b))],
            "chooses by q, expected a mask among the inputs",
        ),
        ([Pointwise(u, select(m, v, b) + m)], "reads the mask m as a number"),
        (
            [Pointwise(u, select(m, v, b)), Contract(q, (Product(w, m, transposed=True),))],
            "reads the mask m as a",
        ),
        ([Pointwise(u, v * w)], "uses the matrix w \\[H, I\\] unit by unit"),
        ([Contract(u, (Product(w, v),))], "w v has I columns but a vector of H units"),
        ([Contract(u, (Product(v, x),))], "contracts with v \\[T, B, H\\], which is no matrix"),
        ([Contract(u, (Product(w, x), Product(w, v, transposed=True)))], "terms on different axes"),
        ([Contract(u, (Product(w, b),))], "needs a vector, but b has shape \\[H\\]"),
        ([Outer(u, ((v, x), (x, v)))], "terms of different shapes"),
        ([Sum(u, (x, v))], "terms on different axes"),
        ([Sum(u, (v,)), Pointwise(q, u * v)], "'q = u\\*v' reads u, a sum over time and batch"),
        (
            [Outer(u, ((v, x),)), Contract(q, (Product(u, x),))],
            "'q = u x' reads u, a sum over time and batch",
        ),
    ],
)
def test_an_ill_formed_statement_is_named(statements, message):
    with pytest.raises(ProgramError, match=message):
        Program(INPUTS, tuple(statements), ())


def test_an_output_has_to_be_written():
    with pytest.raises(ProgramError, match="output u is never written"):
        Program(INPUTS, (), (u,))


def test_a_carried_state_enters_and_leaves_with_one_shape():
    step = Program(INPUTS, (Contract(u, (Product(w, x),)),), (u,))
    assert Cell("c", "c", step, ((v, u),), "here").carry == ((v, u),)
    with pytest.raises(ProgramError, match="state u never enters the step"):
        Cell("c", "c", step, ((u, u),), "here")
    with pytest.raises(ProgramError, match="state v is never written"):
        Cell("c", "c", step, ((v, v),), "here")
    with pytest.raises(ProgramError, match=r"state x \[T, B, I\] becomes u \[T, B, H\]"):
        Cell("c", "c", step, ((x, u),), "here")


def test_shapes_are_those_of_the_index_conventions():
    statements = (
        Contract(u, (Product(w, x),)),
        Pointwise(sp.Symbol("s", real=True), sigmoid(u) + b),
        Outer(sp.Symbol("o", real=True), ((u, x),)),
        Sum(sp.Symbol("t", real=True), (u,)),
    )
    shapes = Program(INPUTS, statements, ()).shapes
    assert [str(shapes[s.target]) for s in statements] == ["[T, B, H]", "[T, B, H]", "[H, I]", "[H]"]


def test_dead_statements_and_unused_inputs_go():
    statements = (Contract(u, (Product(w, x),)), Pointwise(sp.Symbol("s", real=True), v + b))
    live = Program(INPUTS, statements, (u,)).without_dead_statements()
    assert [str(s) for s in live] == ["u = w x"]
    assert set(live.inputs) == {w, x}


@pytest.mark.parametrize("name", ["a b", "x); import os", "lambda", "h′", "2x", ""])
def test_a_name_that_is_no_identifier_is_refused(name):
    hostile = sp.Symbol(name, real=True)
    with pytest.raises(ProgramError, match="cannot be a name"):
        Program({hostile: vector("H")}, (), ())
    with pytest.raises(ProgramError, match="cannot be a name"):
        Program({v: vector("H")}, (Pointwise(hostile, v),), ())


def test_two_symbols_of_one_name_are_refused():
    with pytest.raises(ProgramError, match="two symbols called v"):
        Program({v: vector("H"), sp.Symbol("v"): vector("H")}, (), ())


def test_a_mean_has_the_shape_of_its_source():
    program = Program({v: vector("H")}, (Mean(u, v),), (u,))
    assert program.shapes[u] == vector("H")
    with pytest.raises(ProgramError, match="u = mean w"):
        Program({w: matrix("H", "I")}, (Mean(u, w),), (u,))


@pytest.mark.parametrize("name", ["a-b", "", "x; import os", "../up"])
def test_a_cell_is_called_by_an_identifier(name):
    with pytest.raises(ProgramError, match="a cell cannot be called"):
        Cell(name, "title", Program({v: vector("H")}, (Pointwise(u, v),), (u,)), ((v, u),), "")


@pytest.mark.parametrize("title", ['"""\nimport os', "two\nlines", "back\\slash", 'a "quote"'])
def test_a_title_cannot_leave_its_docstring(title):
    with pytest.raises(ProgramError, match="title on one line"):
        Cell("cell", title, Program({v: vector("H")}, (Pointwise(u, v),), (u,)), ((v, u),), "")


def test_a_choice_inside_a_choice_by_the_same_mask_is_no_number():
    Program(INPUTS, (Pointwise(u, select(m, b, select(m, b, v))),), (u,))
    with pytest.raises(ProgramError, match="reads the mask m as a number"):
        Program(INPUTS, (Pointwise(u, select(m, b, select(m, b, v * m))),), (u,))
