"""Recurrent cells written a second time, in plain PyTorch, from their sources: oracles of the shipped cells.

Nothing here is derived or emitted, and nothing is imported from the rest of symgru, so that agreement with a
shipped cell is evidence, and autograd of this code judges every derivative.

    for name, reference in REFERENCES.items():
        states = run(reference, draw(reference, steps=3, batch=3, axes={"I": 4, "H": 5}, seed=0))
"""

from symgru.testing.references import gated, gru, lstm, normalised, variants
from symgru.testing.references.draw import draw
from symgru.testing.references.loop import run
from symgru.testing.references.model import REFERENCES, Reference, Tensors

__all__ = [
    "REFERENCES",
    "Reference",
    "Tensors",
    "draw",
    "gated",
    "gru",
    "lstm",
    "normalised",
    "run",
    "variants",
]
