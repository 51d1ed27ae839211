"""Values at which one cell differs from another: nothing is zero, no two parameters are alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from symgru.testing.references.model import Reference

MASKS = ("lengths", "resets", "zoneout")


def draw(
    reference: Reference,
    steps: int,
    batch: int,
    axes: Mapping[str, int],
    seed: int,
    masks: Collection[str] = (),
    scale: float = 0.7,
) -> dict[str, Tensor]:
    """Inputs of `run` in float64: sequences [steps, batch, n], first states, parameters.

    Attention scores lie in (0, 1) and are the same for all units, `observed` is 0 or 1, `delta` is positive.
    Lengths are 1 to steps: the first is steps, the last is less where it can be.

    Args:
        reference: The cell.
        steps: T.
        batch: B.
        axes: Length of each axis, as {"I": 4, "H": 5}.
        seed: Of the values.
        masks: Which of lengths, resets and zoneout to draw masks for, under the names that `run` knows.
        scale: Standard deviation of what is normal.
    Raises:
        ValueError: a mask of another name.
    """
    if unknown := set(masks) - set(MASKS):
        raise ValueError(f"masks are {', '.join(MASKS)}, got {sorted(unknown)}")
    generator = torch.Generator().manual_seed(seed)
    states = {entering for entering, _ in reference.states}

    def normal(*shape: int) -> Tensor:
        return scale * torch.randn(shape, generator=generator, dtype=torch.float64)

    def coin(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator) < 0.5

    values: dict[str, Tensor] = {}
    for name, letters in reference.shapes.items():
        leading = (steps, batch) if name in reference.inputs else (batch,) if name in states else ()
        values[name] = normal(*leading, *(axes[letter] for letter in letters))
    if "attention" in values:
        values["attention"] = torch.sigmoid(values["attention"][..., :1]).expand(-1, -1, axes["H"]).clone()
    if "observed" in values:
        values["observed"] = coin(steps, batch, axes["I"]).double()
        values["delta"] = values["delta"].abs() + 0.1
    if "lengths" in masks:
        lengths = torch.randint(1, steps + 1, (batch,), generator=generator)
        lengths[0] = steps
        if batch > 1:  # so that they differ
            lengths[-1] = torch.randint(1, max(steps, 2), (), generator=generator)
        values["valid"] = (torch.arange(steps)[:, None] < lengths)[..., None]
    if "resets" in masks:
        values["restart"] = coin(steps, batch, 1)
        values |= {f"{entering}_restart": normal(steps, batch, axes["H"]) for entering, _ in reference.states}
    if "zoneout" in masks:
        values |= {f"zoneout_{leaving}": coin(steps, batch, axes["H"]) for _, leaving in reference.states}
    return values
