"""What a reference is, and the table of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

Tensors = Mapping[str, Tensor]
Step = Callable[[Tensors], Tensors]
Axes = Mapping[str, str]

HIDDEN_STATE = (("h_prev", "h_new"),)


@dataclass(frozen=True)
class Reference:
    """A recurrent cell in plain PyTorch, one line for each published equation.

    Attributes:
        step: From the values of one step, vectors [B, n] and parameters, to the new states by name.
        source: Paper with version, or repository, file, function and commit.
        states: Pairs of names, the state entering a step and the one leaving it; all are [H].
        inputs: What a sequence has at each step: name and letter of its axis, as x: I.
        parameters: Name and letters of the axes, rows first: W_r: HI.
    """

    step: Step
    source: str
    states: tuple[tuple[str, str], ...]
    inputs: Axes
    parameters: Axes

    @property
    def shapes(self) -> dict[str, str]:
        """Axis letters of all that `step` reads, in the order inputs, states, parameters."""
        return {**self.inputs, **{entering: "H" for entering, _ in self.states}, **self.parameters}


_TABLE: dict[str, Reference] = {}
REFERENCES: Mapping[str, Reference] = MappingProxyType(_TABLE)


def register(
    name: str,
    source: str,
    parameters: Axes,
    inputs: Axes = MappingProxyType({"x": "I"}),
    states: tuple[tuple[str, str], ...] = HIDDEN_STATE,
) -> Callable[[Step], Step]:
    """Decorator that enters a step in `REFERENCES` under the name of the shipped cell.

    Raises:
        ValueError: the name is taken.
    """

    def enter(step: Step) -> Step:
        if name in _TABLE:
            raise ValueError(f"a reference has a name of its own, {name} is taken by {_TABLE[name].source}")
        _TABLE[name] = Reference(step, source, states, inputs, parameters)
        return step

    return enter


def per_gate(gates: str, **axes: str) -> dict[str, str]:
    """Parameters of several gates: `per_gate("r z", W="HI", b="H")` has W_r, b_r, W_z, b_z."""
    return {f"{letter}_{gate}": of for gate in gates.split() for letter, of in axes.items()}
