"""Recurrent cells as SymPy equations: the one definition that everything else is derived from."""

from symgru.equations.builder import CellBuilder, Weight, mean
from symgru.equations.cell import Cell
from symgru.equations.functions import (
    exp,
    reflect_sigmoid,
    relu,
    rsqrt,
    select,
    sigmoid,
    softplus,
    step,
    tanh,
)
from symgru.equations.gru import Polarity, Reset, gru
from symgru.equations.program import (
    Contract,
    Mean,
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
from symgru.equations.wrappers import RESTART, VALID, with_lengths, with_resets, with_zoneout

__all__ = [
    "RESTART",
    "VALID",
    "Cell",
    "CellBuilder",
    "Contract",
    "Mean",
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
    "Weight",
    "bias",
    "exp",
    "gru",
    "matrix",
    "mean",
    "reflect_sigmoid",
    "relu",
    "rsqrt",
    "select",
    "sigmoid",
    "softplus",
    "step",
    "tanh",
    "vector",
    "with_lengths",
    "with_resets",
    "with_zoneout",
]
