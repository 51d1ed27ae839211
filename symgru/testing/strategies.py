"""Hypothesis strategies for GRU calls whose inputs can tell conventions apart.

At least two units, more than one step, an initial state and biases that are not zero: one step from zero, or
one unit, cannot see the reset placement.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from symgru.kernels.names import POLARITIES, RESETS
from symgru.torch_api import GRU


@dataclass(frozen=True)
class Case:
    """A call of a GRU: shapes, convention, dtype, and the seed of its values."""

    steps: int
    batch: int
    input_size: int
    hidden_size: int
    layers: int
    bidirectional: bool
    bias: bool
    polarity: str
    reset: str
    dtype: torch.dtype
    lengths: tuple[int, ...] | None
    seed: int

    def module(self, backend: str = "auto") -> GRU:
        """The module, with parameters drawn from the seed."""
        torch.manual_seed(self.seed)
        return GRU(
            self.input_size,
            self.hidden_size,
            self.layers,
            bias=self.bias,
            bidirectional=self.bidirectional,
            polarity=self.polarity,
            reset=self.reset,
            backend=backend,
            dtype=torch.float64,
        ).to(self.dtype)

    def values(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Input [T, B, I] and initial states [L·D, B, H]."""
        generator = torch.Generator().manual_seed(self.seed)
        x = torch.randn(self.steps, self.batch, self.input_size, generator=generator, dtype=torch.float64)
        directions = self.layers * (2 if self.bidirectional else 1)
        h0 = torch.randn(directions, self.batch, self.hidden_size, generator=generator, dtype=torch.float64)
        return x.to(self.dtype), h0.to(self.dtype)

    def packed(self, x: torch.Tensor) -> torch.Tensor | PackedSequence:
        """x as a packed sequence if the case has lengths."""
        if self.lengths is None:
            return x
        return pack_padded_sequence(x, torch.tensor(self.lengths), enforce_sorted=False)


@st.composite
def cases(
    draw: st.DrawFn,
    *,
    polarities: tuple[str, ...] = POLARITIES,
    resets: tuple[str, ...] = RESETS,
    dtypes: tuple[torch.dtype, ...] = (torch.float64,),
    max_hidden: int = 33,
    max_layers: int = 2,
    lengths: bool = True,
) -> Case:
    """Calls of a GRU; sizes lie on both sides of 16 and 32, where tiles end."""
    steps, batch = draw(st.integers(1, 6)), draw(st.sampled_from((1, 2, 3, 5, 17)))
    sizes = [h for h in (2, 3, 5, 15, 16, 17, 31, 33) if h <= max_hidden]
    each = st.lists(st.integers(1, steps), min_size=batch, max_size=batch)
    return Case(
        steps=steps,
        batch=batch,
        input_size=draw(st.sampled_from((1, 3, 4, 7))),
        hidden_size=draw(st.sampled_from(sizes)),
        layers=draw(st.integers(1, max_layers)),
        bidirectional=draw(st.booleans()),
        bias=draw(st.booleans()),
        polarity=draw(st.sampled_from(polarities)),
        reset=draw(st.sampled_from(resets)),
        dtype=draw(st.sampled_from(dtypes)),
        lengths=tuple(draw(each)) if draw(st.booleans()) and lengths else None,
        seed=draw(st.integers(0, 2**31)),
    )
