"""The functional GRU: batched, unbatched and packed input in front of a stack of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from symgru.kernels.cpu.passes import packed
from symgru.torch_api.check import check_input, check_resets, check_state, check_tensor
from symgru.torch_api.errors import ShapeError
from symgru.torch_api.options import Options
from symgru.torch_api.remembering import remembered
from symgru.torch_api.stack import Shape, Stack


def gru(
    input: Tensor | PackedSequence,
    hx: Tensor | None,
    weights: Sequence[Tensor],
    *,
    bias: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    training: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
    polarity: str = "keep",
    reset: str = "after",
    backend: str = "auto",
    precision: str = "ieee",
    recompute: bool = False,
    resets: Tensor | PackedSequence | None = None,
) -> tuple[Tensor | PackedSequence, Tensor]:
    """A multi-layer GRU over a sequence.

    Args:
        input: [T, B, I], or [B, T, I] if batch_first, or [T, I] unbatched, or a PackedSequence.
        hx: Initial states [L·D, B, H] ([L·D, H] unbatched), D = 2 if bidirectional, else 1; zeros if None.
        weights: For each layer and direction weight_ih [3H, I or D·H], weight_hh [3H, H] and, with bias,
            bias_ih [3H] and bias_hh [3H]; rows in the order r, z, n, as in torch.nn.GRU.
        bias: Whether biases are among the weights.
        num_layers: L.
        dropout: Probability of zeroing an output between layers, while training.
        training: Whether dropout is active.
        bidirectional: Whether every layer also runs backwards in time.
        batch_first: Whether batch comes before time in input and output.
        polarity: keep, h' = z⊙h + (1−z)⊙n, or update, h' = (1−z)⊙h + z⊙n.
        reset: after, before or whole: where the reset gate acts, see `symgru.equations.Reset`.
        backend: auto, cpu, torch, triton or interpreter, see `symgru.backends()`.
        precision: Of float32 products in Triton loops: ieee, tf32 or tf32x3.
        recompute: On the cpu backend, keep nothing for the backward pass but the states; the others never do.
        resets: Where a new sequence begins: truth values [T, B] in the layout of the input, [T] unbatched, or
            packed as the input is. The state that enters such a step is zero, in place of what came before or
            of hx; backwards in time nothing is carried from it to the step before. On the cpu and torch
            backends.
    Returns:
        The outputs of the last layer, [T, B, D·H] in the layout of the input, and the final states
        [L·D, B, H]. They share no memory.
    Raises:
        ShapeError, DtypeError, DeviceError: an argument does not fit the others.
        BackendError: the backend does not exist or cannot serve the call.
        ValueError: a keyword is none of its choices.
    """
    convention = polarity, reset, backend, precision, recompute
    shape = shape_of(bias, num_layers, bidirectional, dropout if training else 0.0, *convention)
    return run(Stack(tuple(weights), shape), input, hx, batch_first, resets)


def run(
    stack: Stack,
    input: Tensor | PackedSequence,
    hx: Tensor | None,
    batch_first: bool,
    resets: Tensor | PackedSequence | None = None,
) -> tuple[Tensor | PackedSequence, Tensor]:
    """The same for weights and settings that are put together already."""
    if isinstance(input, PackedSequence):
        return _packed(stack, input, hx, resets)
    check_tensor("input", input)
    if input.dim() == 2:
        return _unbatched(stack, input, hx, resets)
    check_input(input, ("B", "T", "I") if batch_first else ("T", "B", "I"), stack.input_size)
    x = input.transpose(0, 1) if batch_first else input
    begins = _resets_of(resets, input)
    if begins is not None and batch_first:
        begins = begins.transpose(0, 1)
    output, last = stack(x, hx, resets=begins)
    return (output.transpose(0, 1) if batch_first else output), last


@remembered
def shape_of(bias: bool, layers: int, bidirectional: bool, dropout: float, *convention: Any) -> Shape:
    """What a stack is made of; the convention as in `Options`."""
    return Shape(bias, layers, 2 if bidirectional else 1, dropout, Options(*convention))


def _resets_of(resets: Tensor | PackedSequence | None, input: Tensor) -> Tensor | None:
    if resets is None:
        return None
    if isinstance(resets, PackedSequence):
        raise TypeError("resets must be a tensor where the input is one, but is a PackedSequence")
    check_resets(resets, input.shape[:-1], input.device)
    return resets


def _packed_resets(resets: Tensor | PackedSequence | None, input: PackedSequence) -> Tensor | None:
    """One of each row of the input."""
    if resets is None:
        return None
    if not isinstance(resets, PackedSequence):
        raise TypeError(
            f"resets must be a PackedSequence where the input is one, but is a {type(resets).__name__}"
        )
    order = [None if p.sorted_indices is None else p.sorted_indices.tolist() for p in (input, resets)]
    if not torch.equal(resets.batch_sizes, input.batch_sizes) or order[0] != order[1]:
        raise ShapeError("resets must have the lengths and the order of the packed input, but has others")
    check_resets(resets.data, input.data.shape[:-1], input.data.device)
    return resets.data


def _unbatched(
    stack: Stack, input: Tensor, hx: Tensor | None, resets: Tensor | PackedSequence | None
) -> tuple[Tensor, Tensor]:
    check_input(input, ("T", "I"), stack.input_size)
    if hx is not None:
        check_state(hx, (stack.states, stack.hidden_size))
    begins = _resets_of(resets, input)
    output, last = stack(
        input.unsqueeze(1),
        None if hx is None else hx.unsqueeze(1),
        resets=None if begins is None else begins.unsqueeze(1),
    )
    return output.squeeze(1), last.squeeze(1)


def _packed(
    stack: Stack, input: PackedSequence, hx: Tensor | None, resets: Tensor | PackedSequence | None
) -> tuple[PackedSequence, Tensor]:
    """Padded to [T, B, I] with a mask; the state of a finished sequence is kept.

    Packing and unpacking are gathers of rows, so they have every derivative.
    """
    data, batch_sizes, order, inverse = input
    check_input(data, ("steps of all sequences", "I"), stack.input_size)
    begins = _packed_resets(resets, input)
    if stack.on_cpu(data):
        return _packed_on_cpu(stack, input, hx, begins)
    steps, batch = len(batch_sizes), int(batch_sizes[0])
    if hx is not None:
        check_state(hx, (stack.states, batch, stack.hidden_size))
        hx = hx if order is None else hx.index_select(1, order)
    sizes = batch_sizes.to(data.device).unsqueeze(1)
    valid = torch.arange(batch, device=data.device) < sizes  # [T, B], packed in this order
    rows = (valid.flatten().cumsum(0) - 1).clamp(min=0)
    padded = data.index_select(0, rows).view(steps, batch, -1)
    mask = valid.unsqueeze(-1)
    if begins is not None:
        begins = begins.index_select(0, rows).view(steps, batch) & valid
    output, last = stack(torch.where(mask, padded, torch.zeros_like(padded)), hx, mask, resets=begins)
    packed = output.flatten(0, 1).index_select(0, valid.flatten().nonzero().squeeze(1))
    if inverse is not None:
        last = last.index_select(1, inverse)
    return PackedSequence(packed, batch_sizes, order, inverse), last


def _packed_on_cpu(
    stack: Stack, input: PackedSequence, hx: Tensor | None, resets: Tensor | None
) -> tuple[PackedSequence, Tensor]:
    """The rows as they are: the work is that of the valid steps."""
    data, batch_sizes, order, inverse = input
    steps = packed(tuple(batch_sizes.tolist()))
    if hx is not None:
        check_state(hx, (stack.states, steps.batch, stack.hidden_size))
        hx = hx if order is None else hx.index_select(1, order)
    output, last = stack(data, hx, steps=steps, resets=resets)
    last = last if inverse is None else last.index_select(1, inverse)
    return PackedSequence(output, batch_sizes, order, inverse), last
