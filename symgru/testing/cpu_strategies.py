"""Hypothesis strategies for problems of the CPU's passes.

Sizes lie on both sides of where registers, tiles, stripes of rows and chunks of time end.
"""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from symgru.kernels.names import POLARITIES, RESETS
from symgru.testing.cpu_passes import DISPENSABLE, OPTIONAL, OPTIONAL_TANGENTS, Problem

UNITS = (1, 2, 3, 5, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65)
ROWS = (1, 2, 3, 7, 8, 9, 11, 12, 13, 14, 23, 25)
CHUNK = 128  # rows_of_chunk in engine.h


@st.composite
def batch_sizes(draw: st.DrawFn) -> tuple[int, ...]:
    """The rows of each step: alike, ever fewer, about as many in all as a chunk holds, or more in one."""
    kind = draw(st.sampled_from(("even", "even", "packed", "packed", "chunk", "long", "blocks")))
    if kind == "even":
        return (draw(st.sampled_from(ROWS)),) * draw(st.integers(1, 6))
    if kind == "packed":
        each = draw(st.lists(st.sampled_from(ROWS), min_size=2, max_size=7))
        return tuple(sorted(each, reverse=True))
    rows = CHUNK + draw(st.integers(-1, 1))
    if kind == "chunk":  # one step of a chunk's size, or a few
        steps = draw(st.integers(1, 3))
        return (rows, *[draw(st.sampled_from((*ROWS, rows)))] * (steps - 1))
    if kind == "blocks":
        many = draw(st.lists(st.sampled_from((3, 130, 257, 300)), min_size=1, max_size=3))
        return tuple(sorted(many, reverse=True))
    batch = draw(st.sampled_from((2, 7, 9, 13)))
    last = draw(st.integers(0, batch))
    return (*((batch,) * (rows // batch)), *((last,) if last else ()))


@st.composite
def problems(
    draw: st.DrawFn,
    *,
    polarities: tuple[str, ...] = POLARITIES,
    resets: tuple[str, ...] = RESETS,
    dtypes: tuple[torch.dtype, ...] = (torch.float64, torch.float32),
) -> Problem:
    """Layers in one direction, with or without biases, first states and resets."""
    absent = st.sets(st.sampled_from((*OPTIONAL, *OPTIONAL_TANGENTS)))
    return Problem(
        polarity=draw(st.sampled_from(polarities)),
        reset=draw(st.sampled_from(resets)),
        batch_sizes=draw(batch_sizes()),
        input_size=draw(st.sampled_from(UNITS)),
        hidden_size=draw(st.sampled_from(UNITS)),
        reverse=draw(st.booleans()),
        absent=frozenset(draw(absent)) if draw(st.booleans()) else frozenset(),
        dtype=draw(st.sampled_from(dtypes)),
        seed=draw(st.integers(0, 2**31)),
        resets=draw(st.booleans()),
    )


def unwanted() -> st.SearchStrategy[frozenset[str]]:
    """Results that a caller does without: none of them in most cases."""
    return st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(DISPENSABLE)))
