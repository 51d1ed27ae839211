"""One call of a GRU, its oracle, and where there is one torch.nn.GRU, side by side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from symgru.testing.oracle import OracleGRU
from symgru.testing.strategies import Case


@dataclass(frozen=True)
class Results:
    """Outputs [T, B, D·H] (zero after the end of a sequence), final states, and gradients by name."""

    output: Tensor
    final: Tensor
    gradients: dict[str, Tensor]

    def items(self) -> dict[str, Tensor]:
        """Everything, by name."""
        return {"output": self.output, "h_n": self.final, **{f"d_{n}": g for n, g in self.gradients.items()}}


def cotangents(case: Case) -> tuple[Tensor, Tensor]:
    """Cotangents of output and final states, in the dtype of the case."""
    generator = torch.Generator().manual_seed(case.seed + 1)
    directions = 2 if case.bidirectional else 1
    shapes = (
        (case.steps, case.batch, directions * case.hidden_size),
        (case.layers * directions, case.batch, case.hidden_size),
    )
    d_output, d_final = (
        torch.randn(s, generator=generator, dtype=torch.float64).to(case.dtype) for s in shapes
    )
    return d_output, d_final


def run(case: Case, module: nn.Module) -> Results:
    """The call by a module: any with the interface of nn.GRU."""
    x, h0 = (v.requires_grad_() for v in case.values())
    output, final = module(case.packed(x), h0)
    if isinstance(output, PackedSequence):
        output, _ = pad_packed_sequence(output, total_length=case.steps)
    d_output, d_final = cotangents(case)
    wanted = {"x": x, "h0": h0, **dict(module.named_parameters())}
    gradients = torch.autograd.grad((output, final), list(wanted.values()), (d_output, d_final))
    return Results(output.detach(), final.detach(), dict(zip(wanted, gradients, strict=True)))


def run_oracle(case: Case) -> Results:
    """The call by the oracle, with the weights and values of the case rounded to its dtype."""
    oracle = OracleGRU(case.module(), case.lengths)
    x, h0 = case.values()
    output, final = oracle.forward(x, h0)
    d_output, d_final = cotangents(case)
    return Results(output, final, oracle.backward(d_output, d_final))


def run_peer(case: Case) -> Results | None:
    """The call by torch.nn.GRU in the dtype of the case; None for conventions that it does not have."""
    if (case.polarity, case.reset) != ("keep", "after"):
        return None
    module = case.module()
    peer = nn.GRU(
        case.input_size, case.hidden_size, case.layers, bias=case.bias, bidirectional=case.bidirectional
    ).to(case.dtype)
    peer.load_state_dict(module.state_dict())
    return run(case, peer)
