"""Pipelines of C++ plans as data: what `kernels/cpu/pipelines.py` runs one after the other.

Everything is by name. A plan takes the tensor of its argument's name, unless the description says which
values are added up for it; what it fills gets the name that the description gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import sympy as sp

from symgru.derivation import Loop, Stage
from symgru.derivation.saving import Saved
from symgru.derivation.second_order import DoubleBackward, double_backward_from
from symgru.equations import Cell
from symgru.lowering.cpu_tables import Sources
from symgru.lowering.modules import NOTICE
from symgru.lowering.printers import LoweringError

PREFIX = "dd_"  # of the cotangents that double backward gives
#: What the library calls the loops of the pipeline after the forward one.
NAMES = ("backward_recording", "double_backward_{variant}", "double_backward_end")


@dataclass(frozen=True)
class CpuPass:
    """A loop to emit, with what it shares with other passes."""

    loop: Loop
    saved: tuple[Saved, ...] = ()
    trajectories: Mapping[sp.Symbol, sp.Symbol] = field(default_factory=dict)


@dataclass
class _Description:
    """One plan of a pipeline, see `kernels/cpu/pipelines.py`."""

    plan: str = ""
    reads: dict[str, list[str]] = field(default_factory=dict)
    writes: dict[str, str] = field(default_factory=dict)


class SecondOrder:
    """Double backward of a cell: of all gradients, and, cheaper, of those of inputs and first states.

    Attributes:
        passes: The plans that the two pipelines need, by name; what they have in common is there once.
        described: The pipelines by variant, made of nothing but strings, lists and dictionaries.
    """

    def __init__(self, cell: Cell, sources: Sources):
        self.cell, self.sources = cell, sources
        vectors = [str(s) for s, shape in cell.step.inputs.items() if shape.per_step]
        variants = {"inputs": double_backward_from(cell, vectors), "all": double_backward_from(cell)}
        self.passes: dict[str, CpuPass] = {}
        self.described = {name: self._pipeline(name, each) for name, each in variants.items()}

    def _pipeline(self, variant: str, derived: DoubleBackward) -> dict[str, object]:
        stages: list[dict[str, object]] = []
        written: dict[sp.Symbol, list[str]] = {}
        for stage, name in zip(derived.pipeline.stages[1:], NAMES, strict=True):  # the forward loop has run
            description = self._stage(derived, stage, len(stages), written)
            description.plan = self._plan(name.format(variant=variant), derived, stage)
            stages.append(vars(description))
        outputs: dict[str, list[str]] = {}
        for output, terms in derived.pipeline.outputs.items():
            for tensor in self._tensors(output):
                parts = outputs.setdefault(tensor.removeprefix(PREFIX), [])
                names = [n for v in terms for n in written[v] if n.startswith(tensor) or len(written[v]) == 1]
                parts += [n for n in names if n not in parts]
        return {"stages": stages, "outputs": outputs}

    def _stage(
        self, derived: DoubleBackward, stage: Stage, number: int, written: dict[sp.Symbol, list[str]]
    ) -> _Description:
        step = stage.loop.step
        trajectories = _trajectories(derived, stage)
        kept = {v for each in derived.saved for v in each.members}
        result = _Description()
        for local, terms in stage.reads.items():
            if local in trajectories or local in kept or terms == (local,):
                continue
            if not step.inputs[local].per_step:
                raise LoweringError(f"{stage.loop.name}: parameter {local} is read as {terms}")
            result.reads[str(local)] = [str(value) for value in terms]
        for local, value in stage.writes.items():
            if step.shapes[local].per_step:
                result.writes[str(local)] = str(value)
                written[value] = [str(value)]
            else:
                tensors = self._tensors(local)
                result.writes |= {tensor: f"{tensor}_{number}" for tensor in tensors}
                written[value] = [f"{tensor}_{number}" for tensor in tensors]
        for local, value in stage.last.items():
            result.writes[f"{local}_last"] = str(value)
            written[value] = [str(value)]
        return result

    def _plan(self, name: str, derived: DoubleBackward, stage: Stage) -> str:
        wanted = CpuPass(stage.loop, derived.saved, _trajectories(derived, stage))
        if self.passes.setdefault(name, wanted) != wanted:
            raise LoweringError(f"{stage.loop.name}: two variants of double backward differ in it")
        return name

    def _tensors(self, symbol: sp.Symbol) -> list[str]:
        """The tensors that hold a value: several for a bias that is a sum."""
        places = self.sources.biases.get(str(symbol))
        return [name for name, _ in places] if places else [self.sources.layout.tensor(symbol)]


def _trajectories(derived: DoubleBackward, stage: Stage) -> dict[sp.Symbol, sp.Symbol]:
    """Inputs of a stage that are a state as it entered each step, and that state as it left the step."""
    states = derived.states
    return {s: states[terms[0]][1] for s, terms in stage.reads.items() if set(terms) & states.keys()}


def pipelines_module(cells: Iterable[SecondOrder]) -> str:
    """Source of a module with the pipelines of all cells, by name of cell and variant."""
    lines = [f'"""Double backward as pipelines of C++ plans.\n\n{NOTICE}\n"""\n', "DOUBLE_BACKWARD = {"]
    for second in cells:
        lines.append(f'    "{second.cell.name}": {{')
        for variant, description in second.described.items():
            lines += [f'        "{variant}": {_literal(description, 8)},']
        lines.append("    },")
    return "\n".join([*lines, "}\n"])


def _literal(value: object, indent: int) -> str:
    space = " " * (indent + 4)
    if isinstance(value, dict):
        if not value:
            return "{}"
        items = [f'{space}"{key}": {_literal(each, indent + 4)},\n' for key, each in value.items()]
        return "{\n" + "".join(items) + " " * indent + "}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + "".join(f"{space}{_literal(v, indent + 4)},\n" for v in value) + " " * indent + "]"
    if isinstance(value, list):
        return f"[{', '.join(_literal(v, indent) for v in value)}]"
    return f'"{value}"'
