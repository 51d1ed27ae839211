"""Launches of this project's resident GRU loops, as of the kernels in cases.py."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from symgru.kernels.triton.scan import scan
from symgru.testing.resident import Case, compare, nan_in_fresh_memory, values_of
from symgru.testing.simulated.guarded import GuardedMemory, guarded


@dataclass
class GruLaunch:
    """A call of a resident loop that can be made: what it reads, and the results too, once it has run."""

    case: Case
    values: dict[str, Tensor]
    found: dict[str, Tensor]

    @classmethod
    def of(cls, case: Case) -> GruLaunch:
        """The launch, with fresh tensors."""
        values = values_of(case, torch.device("cpu"))
        return cls(case, {name: guarded(value) for name, value in values.items()}, {})

    @classmethod
    def saturated(cls, case: Case) -> GruLaunch:
        """One step with infinite weights and all else positive, so that nothing is NaN.

        What only pads a tile has the state 0, and where a weight beside it is not masked, 0·∞ is NaN.
        """
        launch = cls.of(replace(case, T=1))
        for name, value in launch.values.items():
            if value.dtype is not torch.bool:
                value.fill_(torch.inf) if name == "weight_hh" else value.abs_().add_(1)
        return launch

    def run(self) -> None:
        """Run the loop on the active device of Triton."""
        self.found = dict(self.values)
        with nan_in_fresh_memory(), GuardedMemory():
            scan(*self.case.emitted(), self.found, precision=self.case.precision)

    def assert_agrees(self) -> None:
        """AssertionError if a result is wrong; or NaN, where weights are infinite."""
        if self.values["weight_hh"].isfinite().all():
            compare(self.case, self.values, self.found)
        else:
            wrong = [name for name, value in self.found.items() if value.isnan().any()]
            assert not wrong, f"NaN in {', '.join(wrong)}"
