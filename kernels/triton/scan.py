"""The resident executor of a pass: all steps in one kernel launch.

Does what `symgru.kernels.scan` does in a Python loop, for G independent groups at once.
"""

from __future__ import annotations

from dataclasses import asdict
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ..names import PRECISIONS
from ..passes import Pass
from ..scan import last
from ..tensor_ops import compute_dtype
from .launch import obstacle, settings, target_of
from .loops import WEIGHT, Loop, loop_of


def scan(pass_: Pass, stages: ModuleType, values: dict[str, Tensor], precision: str = "ieee") -> None:
    """Run the inside of a pass for every step, in one kernel launch.

    Nothing is differentiable by autograd, nothing in `values` is written to, and where a name is added its
    tensor is new. With T = 0 or B = 0 or G = 0 nothing is launched and the last carried value is the first.

    Args:
        pass_: FORWARD, BACKWARD or TANGENT of a module `symgru.kernels.generated.torch_*`.
        stages: The module `symgru.kernels.generated.triton_*` of the same cell.
        values: Reads the sequences [G, T, B, H], a mask as bool [T, B, 1] or [G, T, B, 1], the first carried
            value [G, B, H] under the name that enters a step, `weight_hh` [G, 3H, H] (gates r, z, n) and
            `c_n` [G, H]. Adds the stored sequences [G, T, B, H], and the last carried value [G, B, H] under
            `symgru.kernels.scan.last(name that leaves a step)`. `weight_hh` may be float64, float32, float16
            or bfloat16; all else is float32, or float64 with float64 weights. Strides are free, but what is
            not contiguous is copied.
        precision: Of float32 products: ieee, tf32 or tf32x3. float64 products are float64; with
            half-precision weights both factors are half precision and the sum is float32.
    Raises:
        ValueError: a shape, dtype or device is not as above, the hidden size is more than a resident program
            can hold, or the stages are not those of the pass.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"expected a precision of {', '.join(PRECISIONS)}, got {precision!r}")
    loop = loop_of(pass_, stages)
    weight, initial = values[WEIGHT], values[loop.entering]
    sizes = _sizes(pass_, loop, values)
    _, T, B, H = sizes
    reason = obstacle(weight.device, weight.dtype, H, precision=precision)
    if reason is not None:
        raise ValueError(reason)
    stored = {name: torch.empty(sizes, dtype=initial.dtype, device=initial.device) for name in pass_.stored}
    final = torch.empty_like(initial, memory_format=torch.contiguous_format)
    if min(sizes) == 0:
        final.copy_(initial)
    else:
        of_products = precision if weight.dtype is torch.float32 else "ieee"  # it is theirs alone
        arguments: dict[str, Any] = {"T": T, "B": B, "PRECISION": of_products}
        arguments |= {argument: stored[name] for argument, name in loop.stored.items()}
        arguments |= {a: tuple(_whole(values[n], sizes) for n in names) for a, names in loop.tuples.items()}
        arguments |= {"weight": weight.contiguous(), "initial": initial.contiguous(), "last": final}
        _launch(loop, arguments, sizes)
    values.update(stored)
    values[last(loop.leaving)] = final


def _launch(loop: Loop, arguments: dict[str, Any], sizes: tuple[int, int, int, int]) -> None:
    """One program for each group and batch tile, on the device of the weights."""
    G, _, B, H = sizes
    weight = arguments["weight"]
    options = asdict(settings(weight.dtype, H, target_of(weight.device).family))
    tile, size = options.pop("batch_tile"), options.pop("padded_hidden_size")
    with torch.cuda.device_of(weight):
        loop.kernel[(G * -(-B // tile),)](**arguments, **loop.constants, H=H, HP=size, BT=tile, **options)


def _whole(value: Tensor, sizes: tuple[int, int, int, int]) -> Tensor:
    """Contiguous; a mask as bytes, one for each group."""
    if value.dtype is torch.bool:
        value = value.expand(*sizes[:3], 1).view(torch.uint8)
    return value.contiguous()


def _sizes(pass_: Pass, loop: Loop, values: dict[str, Tensor]) -> tuple[int, int, int, int]:
    """(G, T, B, H), after every shape, dtype and device has been compared with them."""
    weight = values[WEIGHT]
    compute = compute_dtype(weight.dtype)
    vectors = [name for name in pass_.sequences if values[name].dtype is not torch.bool]
    shape = tuple(values[vectors[0]].shape)
    if len(shape) != 4:
        raise ValueError(f"{vectors[0]}: expected [G, T, B, H], got {shape}")
    G, T, B, H = shape
    expected = dict.fromkeys(vectors, ((shape,), compute))
    expected |= dict.fromkeys(pass_.parameters, (((G, H),), compute))
    expected[WEIGHT] = ((G, 3 * H, H),), weight.dtype
    expected[loop.entering] = ((G, B, H),), compute
    for name in set(pass_.sequences) - set(vectors):
        expected[name] = ((T, B, 1), (*shape[:3], 1)), torch.bool
    for name, (shapes, dtype) in expected.items():
        value = values[name]
        if tuple(value.shape) not in shapes:
            wanted = " or ".join(map(str, shapes))
            raise ValueError(f"{name}: expected shape {wanted}, got {tuple(value.shape)}")
        if value.dtype is not dtype:
            raise ValueError(f"{name}: expected {dtype} beside {weight.dtype} weights, got {value.dtype}")
        if value.device != weight.device:
            raise ValueError(f"{name}: expected on {weight.device} like the weights, got {value.device}")
    return G, T, B, H
