"""Which model and which code: the settings of a layer that are not tensors."""

from __future__ import annotations

from dataclasses import dataclass, field

from symgru.kernels.names import POLARITIES, PRECISIONS, RESETS


@dataclass(frozen=True)
class Options:
    """Convention and execution of a GRU layer.

    Attributes:
        polarity: keep, h' = z⊙h + (1−z)⊙n, or update, h' = (1−z)⊙h + z⊙n.
        reset: before, n = tanh(Wx + U(r⊙h)); after, n = tanh(Wx + r⊙(Uh + c)); whole, n = tanh(r⊙(Wx + Uh)).
        backend: auto, cpu, torch, triton or interpreter.
        precision: of float32 products in the Triton loops: ieee, tf32 or tf32x3.
        recompute: on the cpu backend, keep nothing for the backward pass but the states.
    Raises:
        ValueError: a value is none of these.
    """

    polarity: str = "keep"
    reset: str = "after"
    backend: str = "auto"
    precision: str = "ieee"
    recompute: bool = False
    _hash: int = field(init=False, repr=False, compare=False)

    def __hash__(self) -> int:
        return self._hash

    def __post_init__(self) -> None:
        values = (self.polarity, self.reset, self.backend, self.precision, self.recompute)
        object.__setattr__(self, "_hash", hash(values))  # once: every call looks something up by its options
        for name, known in (("polarity", POLARITIES), ("reset", RESETS), ("precision", PRECISIONS)):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, but is {value!r}")

    @property
    def cell(self) -> str:
        """Name of the emitted modules."""
        return f"gru_{self.polarity}_{self.reset}"
