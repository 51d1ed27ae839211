"""The numbers that stand for the values, arguments and axes of a placed loop in the tables of a C++ plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp

from symgru.derivation.saving import Saved
from symgru.lowering.layout import Layout
from symgru.lowering.placement import Placement, Stage

#: The argument in which all kept values lie, one after the other.
SAVED = "saved"


@dataclass(frozen=True)
class Sources:
    """Where the parameters of a cell lie in the tensors that a caller has.

    Attributes:
        layout: Of matrices.
        biases: For each bias the blocks (tensor, number) whose sum it is.
    """

    layout: Layout
    biases: dict[str, tuple[tuple[str, int], ...]]


class Arguments:
    """The tensors of a call, in order of first use."""

    def __init__(self) -> None:
        self.kinds: dict[str, tuple[str, tuple[str, ...]]] = {}

    def index(self, name: str, kind: str, axes: Sequence[str]) -> int:
        """The number of a tensor; a new one is added."""
        self.kinds.setdefault(name, (kind, tuple(axes)))
        return list(self.kinds).index(name)


class Tables:
    """The numbered tables of one plan."""

    def __init__(self, placement: Placement, sources: Sources):
        self.placement, self.sources = placement, sources
        self.step, self.loop = placement.loop.step, placement.loop
        self.arguments = Arguments()
        self.axes: list[str] = []
        self.sequences: dict[str, str] = {}
        self.parameters: dict[sp.Symbol, str] = {}
        self.matrices: dict[sp.Symbol, str] = {}
        self.masks: dict[sp.Symbol, str] = {}
        self.record = {s: i for i, s in enumerate(placement.record)}
        self.in_step = {s: i for i, s in enumerate(placement.step)}
        self.entering = {entering: i for i, (entering, _) in enumerate(self.loop.carry)}
        self.leaving = {leaving: i for i, (_, leaving) in enumerate(self.loop.carry)}
        self.saved = {s: (each, block) for block, each in enumerate(placement.saved) for s in each.members}

    def gate(self, symbol: sp.Symbol) -> Saved | None:
        """The gate and complement that a value is kept in, if it is kept so."""
        saved, _ = self.saved.get(symbol, (None, 0))
        return saved if saved and saved.complement else None

    def axis(self, name: str) -> int:
        """The number of an axis."""
        if name not in self.axes:
            self.axes.append(name)
        return self.axes.index(name)

    def axis_of(self, symbol: sp.Symbol) -> str:
        """The axis of a vector."""
        (axis,) = self.step.shapes[symbol].axes
        return axis

    def sequence(self, symbol: sp.Symbol) -> int:
        """A sequence among the arguments; kept values are blocks of one."""
        axis = self.axis_of(symbol)
        if symbol in self.saved:
            block = self.saved[symbol][1]
            argument = self.arguments.index(SAVED, "saved", (axis,))
        else:
            block, argument = 0, self.arguments.index(str(symbol), "sequence", (axis,))
        key = f"{{{{{argument}, {block}}}, {self.axis(axis)}}}"
        self.sequences.setdefault(key, key)
        return list(self.sequences).index(key)

    def parameter(self, symbol: sp.Symbol) -> int:
        """The number of a bias."""
        if symbol not in self.parameters:
            axis = self.axis_of(symbol)
            self.parameters[symbol] = f"{{{{{self._sources(symbol, 'vector')}}}, {self.axis(axis)}}}"
        return list(self.parameters).index(symbol)

    def mask(self, symbol: sp.Symbol) -> int:
        """The number of a mask."""
        if symbol not in self.masks:
            self.masks[symbol] = str(self.arguments.index(str(symbol), "mask", ()))
        return list(self.masks).index(symbol)

    def matrix(self, symbol: sp.Symbol) -> int:
        """The number of a matrix."""
        if symbol not in self.matrices:
            rows, columns = self.step.shapes[symbol].axes
            source = self.matrix_source(symbol, "matrix")
            self.matrices[symbol] = f"{{{source}, {self.axis(rows)}, {self.axis(columns)}}}"
        return list(self.matrices).index(symbol)

    def matrix_source(self, symbol: sp.Symbol, kind: str) -> str:
        """The block of an argument in which a matrix, or its gradient, lies."""
        block = self.sources.layout.block(symbol)
        name, index = (block.stack, block.index) if block else (str(symbol), 0)
        return f"{{{self.arguments.index(name, kind, self.step.shapes[symbol].axes)}, {index}}}"

    def _sources(self, symbol: sp.Symbol, kind: str) -> str:
        return ", ".join(self.bias_sources(symbol, kind))

    def bias_sources(self, symbol: sp.Symbol, kind: str) -> list[str]:
        """The blocks of arguments whose sum a bias is, or that all get its gradient."""
        sources = self.sources.biases.get(str(symbol), ((str(symbol), 0),))
        axes = self.step.shapes[symbol].axes
        return [f"{{{self.arguments.index(name, kind, axes)}, {block}}}" for name, block in sources]

    def place(self, symbol: sp.Symbol, stage: Stage | None = None) -> str:
        """Where a stage reads a value."""
        if stage is not None:
            targets = [c.target for group in stage.groups for c in group.members]
            if symbol in targets:
                return f"{{Place::sum, {targets.index(symbol)}}}"
        if symbol in self.record:
            return f"{{Place::record, {self.record[symbol]}}}"
        if symbol in self.in_step:
            return f"{{Place::step, {self.in_step[symbol]}}}"
        if symbol in self.entering:
            return f"{{Place::entering, {self.entering[symbol]}}}"
        if symbol in self.placement.masks:
            return f"{{Place::mask, {self.mask(symbol)}}}"
        if not self.step.shapes[symbol].per_step:
            return f"{{Place::parameter, {self.parameter(symbol)}}}"
        return f"{{Place::sequence, {self.sequence(symbol)}}}"
