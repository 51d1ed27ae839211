"""Recurrent cells as SymPy equations: the one definition that everything else is derived from."""

from symgru.equations.cell import VALID, Cell, with_lengths
from symgru.equations.functions import reflect_sigmoid, select, sigmoid
from symgru.equations.gru import Polarity, Reset, gru
from symgru.equations.program import (
    Contract,
    Outer,
    Pointwise,
    Product,
    Program,
    ProgramError,
    Shape,
    Statement,
    Sum,
    bias,
    matrix,
    vector,
)

__all__ = [
    "VALID",
    "Cell",
    "Contract",
    "Outer",
    "Pointwise",
    "Polarity",
    "Product",
    "Program",
    "ProgramError",
    "Reset",
    "Shape",
    "Statement",
    "Sum",
    "bias",
    "gru",
    "matrix",
    "reflect_sigmoid",
    "select",
    "sigmoid",
    "vector",
    "with_lengths",
]
