"""The fused Triton loops as a registered operator, so that `vmap` and `torch.compile` see through it.

The operator takes tensors with a leading axis of groups G, one recurrent matrix each; under `vmap` the mapped
axis becomes groups. It has no derivative of its own: it runs inside the emitted passes, which are the
derivatives of each other, and differentiating it again raises.
"""

from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from symgru.kernels.passes import Pass
from symgru.kernels.scan import last
from symgru.kernels.tensor_ops import compute_dtype
from symgru.torch_api.emitted import emitted
from symgru.torch_api.errors import BackendError
from symgru.torch_api.options import Options


def fused_scan(pass_: Pass, name: str, values: dict[str, Tensor], options: Options) -> None:
    """`symgru.kernels.scan.scan` by a fused loop: same reads, same writes."""
    sequences = [values[s].unsqueeze(0) for s in pass_.sequences]
    parameters = [_parameter(values[p]).unsqueeze(0) for p in pass_.parameters]
    ((entering, leaving),) = pass_.carry
    lengths = "valid" in values
    tensors = (*sequences, *parameters, values[entering].unsqueeze(0))
    which = (len(sequences), options.cell, name, lengths, options.precision)
    results: tuple[Tensor, ...] = Once.apply(*which, *tensors)  # type: ignore[no-untyped-call]  # torch has none
    for stored, result in zip((*pass_.stored, last(leaving)), results, strict=True):
        values[stored] = result.squeeze(0)


def _parameter(value: Tensor) -> Tensor:
    """Matrices as they are stored, for the products; biases in the dtype of pointwise work."""
    return value if value.dim() > 1 else value.to(compute_dtype(value.dtype))


@torch.library.custom_op("symgru::loop", mutates_args=())
def loop(
    sequences: list[Tensor],
    parameters: list[Tensor],
    carried: Tensor,
    cell: str,
    name: str,
    lengths: bool,
    precision: str,
) -> list[Tensor]:
    """Stored sequences [G, T, B, H] of an emitted pass and the last carried value [G, B, H].

    Args:
        sequences: [G, T, B, H], or [G, T, B, 1] for a mask, in the order of `Pass.sequences`.
        parameters: [G, ...], in the order of `Pass.parameters`.
        carried: First carried value, [G, B, H].
        cell, name, lengths: Which pass of which emitted cell.
        precision: Of float32 products.
    """
    from symgru.kernels.triton.scan import scan

    pass_, stages = _emitted(cell, name, lengths)
    ((entering, leaving),) = pass_.carry
    values = dict(zip(pass_.sequences, sequences, strict=True))
    values |= dict(zip(pass_.parameters, parameters, strict=True))
    values[entering] = carried
    scan(pass_, stages, values, precision)
    return [values[n] for n in (*pass_.stored, last(leaving))]


def _emitted(cell: str, name: str, lengths: bool) -> tuple[Pass, ModuleType]:
    """The pass, and its stages in Triton."""
    stages = import_module(f"symgru.kernels.generated.triton_{cell}{'_lengths' if lengths else ''}")
    return getattr(emitted(cell, lengths), name.upper()), stages


@loop.register_fake
def _(
    sequences: list[Tensor],
    parameters: list[Tensor],
    carried: Tensor,
    cell: str,
    name: str,
    lengths: bool,
    precision: str,
) -> list[Tensor]:
    pass_, _ = _emitted(cell, name, lengths)
    states = sequences[0].new_empty(sequences[0].shape)
    return [torch.empty_like(states) for _ in pass_.stored] + [torch.empty_like(carried)]


@loop.register_vmap
def _(info: Any, in_dims: Any, *arguments: Any) -> tuple[list[Tensor], Any]:
    """Mapped axis and groups become one axis; what is not mapped is repeated."""
    size: int = info.batch_size
    sequences, parameters, carried, *rest = arguments
    folded = [
        [_fold(t, dim, size) for t, dim in zip(tensors, dims, strict=True)]
        for tensors, dims in zip(
            (sequences, parameters, [carried]), (in_dims[0], in_dims[1], [in_dims[2]]), strict=True
        )
    ]
    results = loop(folded[0], folded[1], folded[2][0], *rest)
    return [r.unflatten(0, (size, -1)) for r in results], [0] * len(results)


def _fold(tensor: Tensor, dim: int | None, size: int) -> Tensor:
    mapped = tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
    return mapped.flatten(0, 1)


class Once(torch.autograd.Function):
    """The operator for autograd: its results have no derivative, and asking for one says who has it."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        count: int, cell: str, name: str, lengths: bool, precision: str, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        """Results of `loop`; the first `count` tensors are the sequences, the last is the carried value."""
        sequences, parameters = list(tensors[:count]), list(tensors[count:-1])
        return tuple(loop(sequences, parameters, tensors[-1], cell, name, lengths, precision))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing is kept."""

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Refuse."""
        raise _refusal()

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        """Refuse."""
        raise _refusal()


def _refusal() -> BackendError:
    return BackendError(
        "the fused Triton loops can be differentiated once: expected a first derivative, but a higher "
        "one was asked for; backend 'torch' has derivatives of any order"
    )
