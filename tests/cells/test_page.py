"""docs/cells.md is what the cells give."""

from dataclasses import replace

import pytest
import sympy as sp

from symgru.cells import CELLS
from symgru.documents.__main__ import folder
from symgru.documents.cells import equations, numbers
from symgru.equations import Pointwise, Program


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_is_in_the_table_and_has_a_section(name):
    text = (folder() / "cells.md").read_text(encoding="utf-8")
    assert f"\n| [{name}](#{name}) | " in text
    assert f"\n## {name}\n" in text


def test_equations_are_in_the_names_of_the_cell():
    assert equations(CELLS["mgu_after"]()) == [
        "forget_gate = σ(W_f x + U_f h_prev + b_f)",
        "candidate = tanh(W_n x + b_n + forget_gate ⊙ (U_n h_prev + c_n))",
        "h_new = forget_gate ⊙ h_prev + (1 − forget_gate) ⊙ candidate",
    ]
    assert numbers(CELLS["gru_d"]()) == {"HI": 7, "HH": 3, "H": 4, "I": 3}


def test_a_changed_equation_changes_the_page():
    cell = CELLS["rnn"]()
    *others, last = cell.step.statements
    changed = Program(
        cell.step.inputs, (*others, Pointwise(last.target, -last.expression)), cell.step.outputs
    )
    assert equations(replace(cell, step=changed)) != equations(cell)
    assert sp.Symbol("h_new", real=True) in changed.outputs
