"""The reparametrisation that maps one polarity to the other."""

from __future__ import annotations

import torch

from symgru.torch_api import GRU

OTHER = {"keep": "update", "update": "keep"}


def mirrored(module: GRU) -> GRU:
    """The same function in the other polarity: W_z, U_z and both b_z negated (`symgru prove`)."""
    twin = GRU(
        module.input_size,
        module.hidden_size,
        module.num_layers,
        bias=module.bias,
        batch_first=module.batch_first,
        dropout=module.dropout,
        bidirectional=module.bidirectional,
        polarity=OTHER[module.polarity],
        reset=module.reset,
        backend=module.backend,
        precision=module.precision,
    )
    first = next(module.parameters())
    twin.to(first.device, first.dtype).train(module.training)
    update = slice(module.hidden_size, 2 * module.hidden_size)
    with torch.no_grad():
        for ours, theirs in zip(twin.parameters(), module.parameters(), strict=True):
            ours.copy_(theirs)
            ours[update] = -ours[update]
    return twin
