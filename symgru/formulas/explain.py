"""What is told of a wrong line: the right one, the difference, and a witness, in the user's own names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy as sp

from symgru.equations import reflect_sigmoid
from symgru.formulas.document import Text
from symgru.formulas.errors import FormulaError
from symgru.formulas.evaluation import NoValueError
from symgru.formulas.judge import Witness, witness
from symgru.formulas.meaning import Scope
from symgru.formulas.parser import Style
from symgru.formulas.phrase import Phrasing
from symgru.formulas.printer import to_text
from symgru.formulas.report import LineReport, Status
from symgru.formulas.spellings import USUAL, spelled
from symgru.formulas.tree import Name, Node, Times
from symgru.formulas.values import TransposedMatrix, Value, expanded_size, transposed_matrix
from symgru.proof.terms import LINEAR, OuterProduct
from symgru.proof.theorem import ProofError

#: Terms of a difference that are shown.
SHOWN = 8
#: Sums of more terms, of more different factors or of a higher degree are not factored.
MAX_FACTORED = (20, 6, 8)
#: A difference that is longer when multiplied out stays as it is.
MAX_WRITTEN = 300


def _factored(term: sp.Expr) -> sp.Expr:
    """A polynomial in factors, if that is quickly done."""
    parts = sp.Add.make_args(term)
    factors = [[_power(factor) for factor in sp.Mul.make_args(part)] for part in parts]
    degree = max(sum(exponent for _, exponent in part) for part in factors)
    size = (len(parts), len({base for part in factors for base, _ in part if base.free_symbols}), degree)
    small = all(number <= limit for number, limit in zip(size, MAX_FACTORED, strict=True))
    return sp.factor(term) if small else term


def _power(factor: sp.Expr) -> tuple[sp.Expr, int]:
    """Base and whole exponent; anything else is a base of its own."""
    whole = factor.is_Pow and factor.exp.is_Integer and factor.exp > 0
    return (factor.base, int(factor.exp)) if whole else (factor, 1)


def _gathered(term: sp.Expr) -> sp.Expr:
    """Sums of linear functions that share all arguments but one: W u + W v as W (u + v)."""
    if term.is_Atom or not term.has(*LINEAR):
        return term
    together: dict[tuple[Any, ...], list[tuple[sp.Expr, sp.Expr]]] = {}
    rest = []
    for part in sp.Add.make_args(term):
        coefficient, node = part.as_coeff_Mul()
        if type(node) not in LINEAR:
            rest.append(part)
            continue
        *fixed, argument = node.args
        if isinstance(node, OuterProduct):
            argument, *fixed = node.args
        together.setdefault((type(node), *fixed), []).append((coefficient, argument))
    for (kind, *fixed), arguments in together.items():
        factor, argument = arguments[0]
        if len(arguments) > 1:
            factor, argument = sp.S.One, sp.Add(*(number * part for number, part in arguments))
            argument = _factored(argument)
        rest.append(factor * (kind(argument, *fixed) if kind is OuterProduct else kind(*fixed, argument)))
    return sp.Add(*rest)


class Explainer:
    """Explains in the names and signs that a file uses.

    Args:
        scope: The names of the file.
        style: How it writes formulas.
    """

    def __init__(self, scope: Scope, style: Style):
        self._scope, self._style = scope, style
        self._headed: dict[sp.Symbol, Node] = {
            symbol: spelled(key) for key, (symbol, _) in scope.inputs.items()
        }
        for key in scope.names:
            try:
                value = scope.meaning(spelled(key))
            except FormulaError:
                continue  # the line that uses the name says what is wrong with its meaning
            if value is not None:
                scope.call(value, spelled(key), self._headed)

    def known(self, value: Value, left: Node) -> str:
        """What the derivation calls the value that a user defines; empty if it has no name for it.

        From now on reports use the user's name.
        """
        reference = self._scope.reference
        if reference is None or len(value.rows) != 1 or len(value.columns) != 1 or value.is_matrix:
            return ""
        found = None if value.single.is_Symbol else reference.find(value.single)
        if found is None or found not in reference.definitions:
            return ""
        stem = sp.Symbol(str(found).removeprefix("d_"), real=True)
        applied = {a.args[0]: symbol for a, symbol in reference.applications.items()}
        phrasing = replace(self._phrasing(), inlined=frozenset())
        words = to_text(phrasing.term(found), self._style)
        if stem != found and stem in applied:
            words = f"dL/da with {to_text(phrasing.term(applied[stem]), self._style)} = f(a)"
        standard = self._scope.of_symbol(found, reference.shapes[found])
        if isinstance(left, Name) and (value.rows, value.columns) == (standard.rows, standard.columns):
            self._scope.spoken.setdefault(found, left)
        return words

    def right(self, text: Text, meaning: Value) -> str:
        """The right equation; empty for what the cell is given."""
        if all(self._given(term) for _, _, term in meaning.blocks):
            return ""
        left, equals, _ = text.text.partition("=")
        written = self._phrasing().value(meaning.map(self._written))
        return f"{left.strip(' +&:')} = {to_text(written, self._style)}" if equals else ""

    def wrong(self, text: Text, meaning: Value, user: Value) -> LineReport:
        """The report on a wrong line."""
        report = LineReport(text.number, text.text.strip(), Status.WRONG)
        report.right = self.right(text, meaning)
        if not report.right:
            report.reason = "the left side is given to the cell, so no equation makes it something else"
        report.difference = self._difference(user, meaning)
        try:
            assert self._scope.reference is not None
            found = witness(self._scope.reference, user, meaning)
            report.witness = None if found is None else self._renamed(found)
        except NoValueError as error:
            report.reason = str(error)
        return report

    def _given(self, term: sp.Expr) -> bool:
        """Whether a value is an input of the cell."""
        symbol = term.args[0] if isinstance(term, TransposedMatrix) else term
        return bool(symbol.is_Symbol) and self._definition(symbol) == symbol

    def _definition(self, term: sp.Expr) -> sp.Expr:
        """What the derivation says a value is."""
        assert self._scope.reference is not None
        if isinstance(term, TransposedMatrix):
            return transposed_matrix(self._definition(term.args[0]))
        return self._scope.reference.definitions.get(term, term)

    def _difference(self, user: Value, meaning: Value) -> str:
        """The user's side minus the right one, shortened."""
        assert self._scope.reference is not None
        texts = []
        for (_, _, a), (_, _, b) in zip(user.blocks, meaning.blocks, strict=True):
            difference = self._shortest(a, b)
            if difference is None:
                return ""
            parts = sp.Add.make_args(difference)
            shown = to_text(self._phrasing().term(sp.Add(*parts[:SHOWN])), self._style)
            texts.append(shown + (f" + … ({len(parts)} terms)" if len(parts) > SHOWN else ""))
        return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"

    def _shortest(self, user: sp.Expr, right: sp.Expr) -> sp.Expr | None:
        """The difference with the values by name, or written out, whichever is shorter."""
        assert self._scope.reference is not None
        options = []
        works = [self._scope.reference.opaque]
        if not any(power.exp.is_negative for power in user.atoms(sp.Pow)):  # quotients get long
            works.append(self._scope.reference.form)
        for work in works:
            try:
                options.append(work(user - self._written(right)))
            except ProofError:
                continue
        if 0 in options:
            return sp.S.Zero
        options = [self._shortened(option) for option in options]
        return min(options, key=sp.count_ops, default=None)

    def _written(self, term: sp.Expr) -> sp.Expr:
        """What the derivation says a value is, without values that the user has no name for."""
        return self._named_only(self._definition(term), without=term)

    def _named_only(self, term: sp.Expr, without: sp.Expr | None = None) -> sp.Expr:
        """The term with values that the user has no name for written out.

        σ(a) and tanh(a) go by their names, and σ(−a) is 1 − σ(a).

        Args:
            without: A value whose own application is not replaced by its name.
        """
        assert self._scope.reference is not None
        definitions, inlined = self._scope.reference.definitions, self._inlined()
        applications = self._scope.reference.applications.items()
        names = {a: v for a, v in applications if v != without and v not in inlined}
        while True:
            term = reflect_sigmoid(term).xreplace(names)
            unnamed = term.free_symbols & inlined
            if not unnamed:
                return term
            term = term.xreplace({s: definitions[s] for s in unnamed}).replace(
                TransposedMatrix, transposed_matrix
            )

    def _shortened(self, term: sp.Expr) -> sp.Expr:
        """Shorter: products with the same matrix or vector as one, and a polynomial in factors."""
        written = self._named_only(term)
        if expanded_size(written) > MAX_WRITTEN:
            return term
        gathered = _gathered(sp.expand(written))
        factored = _factored(gathered)
        return min(gathered, factored, key=sp.count_ops)

    def _names(self) -> dict[sp.Symbol, Node]:
        """The user's names: those of the header, and before them those that lines have used."""
        return {**self._headed, **self._scope.spoken}

    def _inlined(self) -> frozenset[sp.Symbol]:
        """Computed values that the user has no name for; gates and states have one that readers know."""
        assert self._scope.reference is not None
        gates = self._scope.reference.applications.values()
        named = {*self._names(), *(gate for gate in gates if str(gate) in USUAL)}
        named |= {leaving for _, leaving in self._scope.reference.cell.carry}
        return frozenset(self._scope.reference.definitions.keys() - named)

    def _phrasing(self) -> Phrasing:
        reference = self._scope.reference
        assert reference is not None
        pointwise, matrix = Times.CIRCLED, Times.NOTHING
        for (sign, contracted), _ in sorted(self._scope.joined.items(), key=lambda item: item[1]):
            if contracted:
                matrix = sign
            elif sign is not Times.NOTHING:
                pointwise = sign
        weights = frozenset(s for s, shape in reference.shapes.items() if len(shape.axes) == 2)
        return Phrasing(
            self._scope.vectors_are_rows,
            pointwise,
            matrix,
            self._names(),
            reference.definitions,
            self._inlined(),
            weights,
        )

    def _renamed(self, found: Witness) -> Witness:
        """The witness with the user's names."""
        phrasing = replace(self._phrasing(), rows=False, inlined=frozenset())

        def named(values: dict[str, Any]) -> dict[str, Any]:
            return {
                to_text(phrasing.term(sp.Symbol(name, real=True)), self._style): value
                for name, value in values.items()
            }

        return replace(found, inputs=named(found.inputs), read=named(found.read))
