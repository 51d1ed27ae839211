"""A reference over time, with lengths, restarts and zoneout."""

from __future__ import annotations

import torch
from torch import Tensor

from symgru.testing.references.model import Reference, Tensors


def run(reference: Reference, inputs: Tensors, zoneout_rate: float | None = None) -> dict[str, Tensor]:
    """States of all steps, differentiable by autograd to any order.

    At each step: where `restart` is true the state is replaced by the one given; the step; units that are
    zoned out keep the state that entered it; where `valid` is false, everything is kept.

    Args:
        reference: The cell.
        inputs: Sequences [T, B, n], first states [B, H] and parameters, by name. And optionally
            valid: mask [T, B, H] or [T, B, 1], false beyond the end of a sequence;
            restart: mask of the same form, with h_prev_restart (and c_prev_restart), [T, B, H] or [H];
            zoneout_h_new (and zoneout_c_new): mask [T, B, H].
        zoneout_rate: p of h = p·h_old + (1 − p)·h_new, zoneout at inference; none by default.
    Returns:
        For each state, under the name it leaves with, [T, B, H].
    Raises:
        ValueError: a name is missing or unknown, a shape is not the declared one, or there is no step.
    """
    steps = _checked(reference, inputs)
    carried = {entering: inputs[entering] for entering, _ in reference.states}
    collected: dict[str, list[Tensor]] = {leaving: [] for _, leaving in reference.states}
    constants = {name: inputs[name] for name in reference.parameters}
    for t in range(steps):
        old = {name: _restarted(inputs, name, state, t) for name, state in carried.items()}
        new = reference.step({**{name: inputs[name][t] for name in reference.inputs}, **old, **constants})
        for entering, leaving in reference.states:
            state = new[leaving]
            if zoneout_rate is not None:
                state = zoneout_rate * old[entering] + (1 - zoneout_rate) * state
            state = _where(inputs, f"zoneout_{leaving}", t, old[entering], state)
            state = _where(inputs, "valid", t, state, old[entering])
            carried[entering] = state
            collected[leaving].append(state)
    return {name: torch.stack(states) for name, states in collected.items()}


def _where(inputs: Tensors, mask: str, t: int, yes: Tensor, no: Tensor) -> Tensor:
    """`yes` where the mask of that name holds at step t; without such a mask, the state that is computed."""
    if mask not in inputs:
        return yes if mask == "valid" else no
    return torch.where(inputs[mask][t].bool(), yes, no)


def _restarted(inputs: Tensors, name: str, state: Tensor, t: int) -> Tensor:
    if "restart" not in inputs:
        return state
    given = inputs[f"{name}_restart"]
    return torch.where(inputs["restart"][t].bool(), given if given.dim() == 1 else given[t], state)


def _checked(reference: Reference, inputs: Tensors) -> int:
    """Number of steps, once names and shapes are known to fit."""
    restarts = {f"{entering}_restart" for entering, _ in reference.states}
    optional = {"valid", "restart", *restarts, *(f"zoneout_{leaving}" for _, leaving in reference.states)}
    needed = set(reference.shapes) | (restarts if "restart" in inputs else set())
    missing, unknown = needed - set(inputs), set(inputs) - set(reference.shapes) - optional
    if missing or unknown:
        raise ValueError(f"missing inputs: {sorted(missing)}; unknown inputs: {sorted(unknown)}")
    first = inputs[next(iter(reference.inputs))]
    if first.dim() != 3 or first.shape[0] == 0:
        raise ValueError(f"a sequence is [T, B, n] with T at least 1, got {list(first.shape)}")
    steps, batch = first.shape[:2]
    sizes = {"H": inputs[reference.states[0][0]].shape[-1], "I": first.shape[-1]}
    for name, axes in reference.shapes.items():
        leading = (
            (steps, batch) if name in reference.inputs else () if name in reference.parameters else (batch,)
        )
        expected = (*leading, *(sizes[axis] for axis in axes))
        if inputs[name].shape != expected:
            raise ValueError(f"{name} is {list(expected)}, got {list(inputs[name].shape)}")
    return steps
