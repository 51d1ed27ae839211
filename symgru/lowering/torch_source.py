"""Torch source code of a scheduled loop: three functions of plain, differentiable tensor operations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

import sympy as sp

from symgru.derivation import Schedule
from symgru.equations import (
    Contract,
    Mean,
    Outer,
    Pointwise,
    Product,
    Program,
    Statement,
    Sum,
    choices,
    name_of,
    select,
)
from symgru.lowering.layout import Layout
from symgru.lowering.names import check_torch_names
from symgru.lowering.printers import LoweringError, TorchPrinter
from symgru.lowering.wrap import tuple_source, wrapped

_print = lru_cache(maxsize=4096)(TorchPrinter().doprint)  # passes repeat the gates of the forward pass

T = TypeVar("T")


@dataclass(frozen=True)
class _Spread:
    """A pointwise statement of parameters alone, repeated for every step of a sequence."""

    statement: Pointwise
    like: sp.Symbol

    @property
    def target(self) -> sp.Symbol:
        return self.statement.target

    @property
    def reads(self) -> frozenset[sp.Symbol]:
        return self.statement.reads | {self.like}


Line = Statement | _Spread


@dataclass(frozen=True)
class Function:
    """An emitted function: what it reads and writes by name, and its source."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    source: str


def torch_function(
    name: str,
    statements: Sequence[Line],
    reads: Iterable[sp.Symbol],
    writes: Iterable[sp.Symbol],
    layout: Layout,
) -> Function:
    """A Python function of tensors; reads and writes are in terms of the stacked tensors of the layout.

    Raises:
        LoweringError: an expression without code, or a symbol with a name that the source needs itself.
    """
    reads, writes = tuple(reads), tuple(writes)
    check_torch_names((*reads, *writes, *(s for line in statements for s in (line.target, *line.reads))))
    arguments = _unique(layout.tensor(s) for s in reads)
    masks = {str(m) for s in statements if isinstance(s, Pointwise) for m in choices(s.expression)}
    body = _Body(layout, next((a for a in arguments if a not in masks), ""))
    body.unpack_biases(statements)
    for statement in _grouped(statements, layout):
        body.write(statement)
    body.write_accumulated(statements)
    results = _unique(layout.tensor(s) for s in writes)
    source = [
        wrapped(f"def {name}(", arguments, "):"),
        *(f"    {line}" for line in body.lines),
        f"    {tuple_source(results, 4, 'return (')}",
    ]
    return Function(name, arguments, results, "\n".join(source) + "\n")


def torch_functions(name: str, schedule: Schedule, layout: Layout) -> tuple[Function, Function, Function]:
    """The phases before, inside and after the loop of one pass.

    Raises:
        LoweringError: see `torch_function`; or the cell has no input.
    """
    step = schedule.loop.step
    entering = [entering for entering, _ in schedule.loop.carry]
    leaving = [leaving for _, leaving in schedule.loop.carry]
    written_before = [s.target for s in schedule.before]
    later = {s for statement in (*schedule.inside, *schedule.after) for s in statement.reads} | set(
        step.outputs
    )
    sequence = next((s for s in step.vectors if s not in schedule.loop.carried), None)
    if sequence is None:
        raise LoweringError(f"{schedule.loop.name} reads no sequence, so nothing says how many steps it has")
    spread = _spread(schedule.before, step.parameters, sequence)
    before = torch_function(
        f"{name}_before",
        spread,
        _external(spread, step),
        [s for s in written_before if s in later],
        layout,
    )
    inside = torch_function(
        f"{name}_inside",
        schedule.inside,
        [*entering, *schedule.sequences, *schedule.parameters],
        [*leaving, *(s for s in schedule.stored if s not in leaving)],
        layout,
    )
    defined = {s.target for s in schedule.after}
    reads_after = _unique(
        s for statement in schedule.after for s in sorted(statement.reads - defined, key=name_of)
    )
    after = torch_function(
        f"{name}_after",
        schedule.after,
        reads_after,
        [s.target for s in schedule.after if s.target in step.outputs],
        layout,
    )
    return before, inside, after


def _spread(statements: Iterable[Statement], parameters: Iterable[sp.Symbol], like: sp.Symbol) -> list[Line]:
    """What varies neither over time nor batch is spread over both, where whole sequences are computed."""
    fixed = set(parameters)
    result: list[Line] = []
    for statement in statements:
        if isinstance(statement, Pointwise) and statement.reads <= fixed:
            fixed.add(statement.target)
            result.append(_Spread(statement, like))
        else:
            result.append(statement)
    return result


def _external(statements: Sequence[Line], step: Program) -> tuple[sp.Symbol, ...]:
    read = {s for statement in statements for s in statement.reads}
    return tuple(s for s in step.inputs if s in read)


def _unique(names: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(names))


@dataclass(frozen=True)
class _Group:
    """Contractions of the same vectors with neighbouring blocks of the same stacks."""

    members: tuple[Contract, ...]


def _grouped(statements: Sequence[Line], layout: Layout) -> list[Line | _Group]:
    """Join contractions that one matrix product can do; the group stands where its first member stood."""
    contracts = [s for s in statements if isinstance(s, Contract)]
    done: set[sp.Symbol] = set()
    result: list[Line | _Group] = []
    for statement in statements:
        if statement.target in done:
            continue
        if not isinstance(statement, Contract) or _group_key(statement, layout) is None:
            result.append(statement)
            continue
        key = _group_key(statement, layout)
        members = sorted(
            (c for c in contracts if _group_key(c, layout) == key), key=lambda c: _index(c, layout)
        )
        indices = [_index(c, layout) for c in members]
        if indices != list(range(indices[0], indices[0] + len(indices))):
            members = [statement]
        done |= {c.target for c in members}
        result.append(_Group(tuple(members)))
    return result


def _group_key(contract: Contract, layout: Layout) -> tuple[tuple[str, sp.Symbol], ...] | None:
    blocks = [layout.block(term.matrix) for term in contract.terms]
    if any(term.transposed for term in contract.terms) or len({b.index if b else None for b in blocks}) != 1:
        return None
    if None in blocks:
        return None
    return tuple((b.stack, term.vector) for b, term in zip(blocks, contract.terms, strict=True) if b)


def _index(statement: Contract, layout: Layout) -> int:
    block = layout.block(statement.terms[0].matrix)
    assert block is not None
    return block.index


_Choice = sp.Function("choice")  # select of two numbers, and a tensor to know the dtype by


def _inexact(node: sp.Basic) -> bool:
    """Whether it is a choice between numbers, one of which torch's default dtype would round."""
    if not isinstance(node, select) or not all(case.is_Rational for case in node.args[1:]):
        return False
    return any(int(case.q) & (int(case.q) - 1) for case in node.args[1:])


@dataclass
class _Body:
    """Lines of one function."""

    layout: Layout
    like: str
    lines: list[str] = field(default_factory=list)
    _joined: dict[tuple[str, ...], str] = field(default_factory=dict)

    def unpack_biases(self, statements: Iterable[Line]) -> None:
        """One name for every stacked bias that a pointwise statement reads."""
        read = {
            s
            for statement in statements
            if isinstance(statement, Pointwise | _Spread)
            for s in statement.reads
        }
        stacks = _unique(b.stack for s in sorted(read, key=name_of) if (b := self.layout.block(s)))
        for stack in stacks:
            members = {b.index: s for s in read if (b := self.layout.block(s)) and b.stack == stack}
            count = next(b.count for s in read if (b := self.layout.block(s)) and b.stack == stack)
            names = ", ".join(str(members.get(i, "_")) for i in range(count))
            self.lines.append(f"{names} = {stack}.chunk({count})")

    def write(self, statement: Line | _Group) -> None:
        match statement:
            case Pointwise():
                expression = statement.expression
                if any(_inexact(node) for node in expression.atoms(select)):
                    expression = expression.replace(_inexact, self._choice)
                self.lines.append(f"{statement.target} = {_print(expression)}")
            case _Spread(pointwise, like):
                self.lines.append(f"{pointwise.target} = per_step({_print(pointwise.expression)}, {like})")
            case _Group():
                self._write_group(statement)
            case Contract():
                self.lines.append(f"{statement.target} = {self._contraction(statement)}")
            case Mean():
                self.lines.append(f"{statement.target} = mean({statement.source})")

    def _choice(self, node: sp.Expr) -> sp.Expr:
        if not self.like:
            raise LoweringError(f"{node}: expected a value beside masks to know the dtype by")
        return _Choice(*node.args, sp.Symbol(self.like))

    def write_accumulated(self, statements: Sequence[Line]) -> None:
        """Sums over time and batch, stacked as the layout says."""
        accumulated = [s for s in statements if isinstance(s, Outer | Sum)]
        for tensor in _unique(self.layout.tensor(s.target) for s in accumulated):
            members = sorted(
                (s for s in accumulated if self.layout.tensor(s.target) == tensor),
                key=lambda s: self._position(s.target),
            )
            self._check_complete(tensor, members)
            parts = self._outer_parts(members) if isinstance(members[0], Outer) else self._sum_parts(members)
            value = parts[0] if len(parts) == 1 else f"torch.cat(({', '.join(parts)}))"
            self.lines.append(f"{tensor} = {value}")

    def _write_group(self, group: _Group) -> None:
        first = group.members[0]
        blocks = [self.layout.block(term.matrix) for term in first.terms]
        terms = [
            f"product({term.vector}, {_rows(b.stack, b.index, b.index + len(group.members), b.count)})"
            for b, term in zip(blocks, first.terms, strict=True)
            if b
        ]
        names = ", ".join(str(c.target) for c in group.members)
        value = " + ".join(terms)
        if len(group.members) > 1:
            value = f"{value if len(terms) == 1 else f'({value})'}.chunk({len(group.members)}, -1)"
        self.lines.append(f"{names} = {value}")

    def _contraction(self, statement: Contract) -> str:
        """Σ Wₖᵀ vₖ over neighbouring blocks of one stack is a single product with the joined vectors."""
        blocks = {term: self.layout.block(term.matrix) for term in statement.terms}
        ordered = sorted(statement.terms, key=lambda term: self._position(term.matrix))
        stacks = {b.stack if b else None for b in blocks.values()}
        indices = [self._position(term.matrix) for term in ordered]
        joinable = (
            all(term.transposed for term in ordered)
            and len(stacks) == 1
            and None not in stacks
            and indices == list(range(indices[0], indices[0] + len(indices)))
        )
        if not joinable:
            return " + ".join(self._single_product(term) for term in ordered)
        block = blocks[ordered[0]]
        assert block is not None
        joined = self._join(str(term.vector) for term in ordered)
        return f"product_transposed({joined}, {_rows(block.stack, indices[0], indices[-1] + 1, block.count)})"

    def _single_product(self, term: Product) -> str:
        block = self.layout.block(term.matrix)
        name = _rows(block.stack, block.index, block.index + 1, block.count) if block else str(term.matrix)
        return f"{'product_transposed' if term.transposed else 'product'}({term.vector}, {name})"

    def _outer_parts(self, members: Sequence[Statement]) -> list[str]:
        """Neighbouring blocks with the same right-hand vector are one product."""
        parts: list[tuple[list[str], str]] = []
        for statement in members:
            assert isinstance(statement, Outer)
            if len(statement.terms) != 1:
                parts.append(([" + ".join(f"outer({left}, {right})" for left, right in statement.terms)], ""))
                continue
            ((left, right),) = statement.terms
            if parts and parts[-1][1] == str(right):
                parts[-1][0].append(str(left))
            else:
                parts.append(([str(left)], str(right)))
        return [f"outer({self._join(left)}, {right})" if right else left[0] for left, right in parts]

    def _sum_parts(self, members: Sequence[Statement]) -> list[str]:
        if all(isinstance(s, Sum) and len(s.terms) == 1 for s in members):
            return [f"total({self._join(str(s.terms[0]) for s in members if isinstance(s, Sum))})"]
        return [" + ".join(f"total({term})" for term in s.terms) for s in members if isinstance(s, Sum)]

    def _join(self, names: Iterable[str]) -> str:
        key = tuple(names)
        if len(key) == 1:
            return key[0]
        if key not in self._joined:
            self._joined[key] = f"joined_{len(self._joined) + 1}"
            self.lines.append(f"{self._joined[key]} = torch.cat(({', '.join(key)}), dim=-1)")
        return self._joined[key]

    def _position(self, symbol: sp.Symbol) -> int:
        block = self.layout.block(symbol)
        return block.index if block else 0

    def _check_complete(self, tensor: str, members: Sequence[Statement]) -> None:
        block = self.layout.block(members[0].target)
        if block and len(members) != block.count:
            raise LoweringError(
                f"{tensor} has {block.count} blocks, but only {len(members)} of them are written"
            )


def _rows(stack: str, start: int, stop: int, count: int) -> str:
    return stack if (start, stop) == (0, count) else f"rows({stack}, {start}, {stop}, {count})"
