"""Published cells as equations, one function each; `CELLS` has them by name.

from symgru.cells import CELLS
cell = CELLS["mgu"]()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from symgru.cells.gru import BIAS_COUNTS, gru_with_biases
from symgru.cells.informed import augru_code, augru_paper, gru_d, peephole_gru
from symgru.cells.minimal import lightru, ligru, mgu, mgu_after, mingru, mingru_log, ugrnn
from symgru.cells.normalised import dreamer_gru, haste_layernorm_gru
from symgru.cells.plain import lstm, lstm_peephole, rnn
from symgru.cells.reduced import gru1, gru2, gru3, mut1, mut2, mut3
from symgru.equations import Cell, Polarity

__all__ = ["CELLS", "FLIPPED", "PUBLISHED", "gru_with_biases"]

#: The polarity that is published, for each cell whose state update mixes the old state and a candidate.
PUBLISHED: Mapping[Callable[..., Cell], Polarity] = MappingProxyType(
    {
        mgu: Polarity.UPDATE,
        mgu_after: Polarity.KEEP,
        mingru: Polarity.UPDATE,
        mingru_log: Polarity.UPDATE,
        ligru: Polarity.KEEP,
        ugrnn: Polarity.KEEP,
        lightru: Polarity.UPDATE,
        gru1: Polarity.UPDATE,
        gru2: Polarity.UPDATE,
        gru3: Polarity.UPDATE,
        mut1: Polarity.UPDATE,
        mut2: Polarity.UPDATE,
        mut3: Polarity.UPDATE,
        augru_paper: Polarity.UPDATE,
        augru_code: Polarity.KEEP,
        peephole_gru: Polarity.KEEP,
        gru_d: Polarity.UPDATE,
        dreamer_gru: Polarity.UPDATE,
        haste_layernorm_gru: Polarity.KEEP,
    }
)


def _grus() -> Iterator[tuple[str, Callable[[], Cell]]]:
    for polarity in Polarity:
        for reset, (usual, *others) in BIAS_COUNTS.items():
            name = f"gru_{polarity.value}_{reset.value}"
            yield name, partial(gru_with_biases, polarity, reset, usual)
            for count in others:
                yield f"{name}_{count}h", partial(gru_with_biases, polarity, reset, count)


def _flipped(function: Callable[..., Cell], published: Polarity) -> Cell:
    other = Polarity.UPDATE if published is Polarity.KEEP else Polarity.KEEP
    cell = function(other)
    return replace(cell, name=f"{cell.name}_{other.value}", title=f"{cell.title}, polarity {other.value}")


#: Every cell that ships, as published: name -> function that makes it.
CELLS: Mapping[str, Callable[[], Cell]] = MappingProxyType(
    dict(_grus()) | {f.__name__: f for f in (*PUBLISHED, rnn, lstm, lstm_peephole)}
)

#: The cells of `PUBLISHED` under the other polarity, by the names that they have in `CELLS`. The GRUs are in
#: `CELLS` under both.
FLIPPED: Mapping[str, Callable[[], Cell]] = MappingProxyType(
    {f.__name__: partial(_flipped, f, published) for f, published in PUBLISHED.items()}
)
