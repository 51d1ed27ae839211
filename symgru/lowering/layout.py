"""Storage: which parameters lie stacked in one tensor, and in what order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from symgru.derivation.forward_mode import PREFIX as TANGENT
from symgru.derivation.reverse_mode import PREFIX as COTANGENT


@dataclass(frozen=True)
class Block:
    """A parameter as rows of a stacked tensor: block `index` of `count`."""

    stack: str
    index: int
    count: int


@dataclass(frozen=True)
class Layout:
    """Names of stacked tensors and the parameters in them, first rows first.

    Tangents and cotangents of the members lie in the same order in the tangent or cotangent of the stack.
    """

    stacks: Mapping[str, tuple[str, ...]]

    @cached_property
    def _blocks(self) -> dict[str, Block]:
        return {
            f"{prefix}{member}": Block(f"{prefix}{stack}", index, len(members))
            for prefix in ("", COTANGENT, TANGENT)
            for stack, members in self.stacks.items()
            for index, member in enumerate(members)
        }

    def block(self, symbol: sp.Symbol | str) -> Block | None:
        """Where the symbol is stored, or None if it is a tensor of its own."""
        return self._blocks.get(symbol if isinstance(symbol, str) else symbol.name)

    def tensor(self, symbol: sp.Symbol | str) -> str:
        """The name of the tensor that holds the symbol."""
        block = self.block(symbol)
        return block.stack if block else str(symbol)


#: torch.nn.GRU: gates in the order r, z, n, matrices as [out, in]. The two bias vectors are merged as far as
#: the reset placement allows: `bias` [3H], and `c_n` [H] where the recurrent candidate bias stands apart.
TORCH_GRU = Layout(
    {
        "weight_ih": ("W_r", "W_z", "W_n"),
        "weight_hh": ("U_r", "U_z", "U_n"),
        "bias": ("b_r", "b_z", "b_n"),
    }
)
