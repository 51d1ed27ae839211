"""One lemma of Rocq for each statement: what it computes, in terms of the values of the reference.

The lemma of a statement rewrites what the statement reads by the lemmas before it, and then calculates:

    Lemma update_gate_related : forall e i, Program.update_gate v' e i = 1 - Reference.update_gate v e i.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce

import sympy as sp

from symgru.derivation import Loop
from symgru.equations import Pointwise, Program, Statement, select
from symgru.proof.simulation import Relation
from symgru.rocq.names import identifier
from symgru.rocq.terms import RocqError, Summed, gallina, indices, number, sums


@dataclass(frozen=True)
class Side:
    """One of the two loops of a claim, under the names that it has in the file.

    Attributes:
        module: The name of its module.
        variable: The inputs of one of its steps.
        suffix: How the lemmas about its values end.
        images: Its values as expressions in the values of the reference.
    """

    module: str
    variable: str
    suffix: str
    loop: Loop
    images: Relation

    @property
    def step(self) -> Program:
        """The program of one step."""
        return self.loop.step

    def name(self, symbol: sp.Symbol) -> str:
        """The definition of a value, or the field of an input."""
        return f"{self.module}.{identifier(str(symbol))}"

    def value(self, symbol: sp.Symbol, at: str = "") -> str:
        """A value at the step with the inputs `at`, by default those that the lemmas are about."""
        return f"{self.name(symbol)} {at or self.variable}"

    def element(self, symbol: sp.Symbol, at: str = "") -> str:
        """One element of a value."""
        return f"{self.value(symbol, at)} {indices(self.step.shapes[symbol])}"

    def lemma(self, symbol: sp.Symbol) -> str:
        """What says the value is its image: the hypothesis about an input, or the lemma of a statement."""
        name = f"{identifier(str(symbol))}_{self.suffix}"
        return f"({name} _ _ r)" if symbol in self.step.inputs else name


def bare(expression: sp.Expr, element: Callable[[sp.Symbol], str]) -> str:
    """The expression without parentheses around it; `element` gives the text of a symbol."""
    if expression.is_Symbol:
        return element(expression)
    text = gallina(expression, lambda symbol: f"({element(symbol)})")
    return text[1:-1] if text.startswith("(") else text


def lemma(statement: Statement, side: Side, reference: Side) -> Iterator[str]:
    """The lemma of one statement, and its proof.

    Raises:
        RocqError: it has no counterpart, or is linear in a value whose image is no multiple of a value.
    """
    target = statement.target
    image = side.images[target]
    at = indices(side.step.shapes[target])
    yield f"Lemma {side.lemma(target)} : forall {at},"
    yield f"  {side.element(target)} = {bare(image, reference.element)}."
    yield f"Proof using {'r' if side is not reference else 'v'}."
    yield f"  intros {at}."
    yield from _proof(statement, image, side, reference)
    yield "Qed."


def _proof(statement: Statement, image: sp.Expr, side: Side, reference: Side) -> Iterator[str]:
    meaning = [] if _follows(statement, image, side) else _definitions(image, reference)
    unfolded = [side.name(statement.target), *(reference.name(s.target) for s in meaning)]
    yield f"  cbv beta delta [{' '.join(dict.fromkeys(unfolded))}]."
    scalings = [_scaling(term, statement, side, reference) for term in sums(statement)]
    scalings += [_scaling(term, other, reference, reference) for other in meaning for term in sums(other)]
    known = list(dict.fromkeys(line for line in scalings if line))
    for index, (equation, proof) in enumerate(known):
        yield f"  assert (scaled{index} : {equation})"
        yield f"    by ({proof})."
    if isinstance(statement, Pointwise):
        yield from _rewritten(statement.reads, side)
    for other in meaning:
        if isinstance(other, Pointwise):
            yield from _rewritten(other.reads, reference)
    functions = _functions(statement, meaning, side, reference)
    if functions:
        yield f"  cbv beta delta [{' '.join(map(reference.name, functions))}]."
    hypotheses = " ".join(f"scaled{i}" for i in range(len(known)))
    yield f"  ring [{hypotheses}]." if known else "  calculate."


def _follows(statement: Statement, image: sp.Expr, side: Side) -> bool:
    """Whether the images of what it reads give its image, without a definition of the reference."""
    if not isinstance(statement, Pointwise):
        return False
    return bool(sp.expand(statement.expression.xreplace(dict(side.images)) - image) == 0)


def _definitions(image: sp.Expr, reference: Side) -> list[Statement]:
    """The statements of the reference that define the symbols of an image."""
    found = (reference.step.definition(symbol) for symbol in sorted(image.free_symbols, key=str))
    return [statement for statement in found if statement is not None]


def _rewritten(read: Iterable[sp.Symbol], side: Side) -> Iterator[str]:
    lemmas = [side.lemma(symbol) for symbol in sorted(read, key=str) if symbol in side.images]
    if lemmas:
        yield f"  rewrite {', '.join(f'?{name}' for name in lemmas)}."


def _scaling(term: Summed, statement: Statement, side: Side, reference: Side) -> tuple[str, str] | None:
    """That a sum is a multiple of a sum of the reference, and why; None for a sum that is one already."""
    read = [symbol for symbol, _ in term.factors]
    if side is reference and not set(read) & side.images.keys():
        return None
    images = [side.images.get(symbol, symbol).as_coeff_Mul() for symbol in read]
    for symbol, (_, base) in zip(read, images, strict=True):
        if not base.is_Symbol:
            raise RocqError(
                f"'{statement}' is linear in {symbol}, which is {side.images[symbol]} of the reference; "
                "expected a multiple of one value"
            )
    factor = reduce(lambda product, image: product * image[0], images, sp.S.One)
    pairs = zip(images, term.factors, strict=True)
    scaled = Summed(term.index, tuple((base, at) for (_, base), (_, at) in pairs))
    coefficient, old, new = number(factor), term.body(side.value), scaled.body(reference.value)
    rewriting = "; ".join(line.strip(" .") for line in _rewritten(read, side))
    proof = (
        f"apply (sum_scaled _ {coefficient} {old} {new}); intro {term.index}; cbv beta; {rewriting}; close"
    )
    return f"sum {old} = {coefficient} * sum {new}", proof


def _functions(
    statement: Statement, meaning: list[Statement], side: Side, reference: Side
) -> list[sp.Symbol]:
    """Values of the reference to be written as σ(…) or tanh(…), where both forms may meet."""
    if not isinstance(statement, Pointwise):
        return []
    sides = [statement.expression.xreplace(dict(side.images))]
    sides += [s.expression.xreplace(dict(reference.images)) for s in meaning if isinstance(s, Pointwise)]
    if len(set(sides)) == 1 or not any(_applied(expression) for expression in sides):
        return []
    symbols = sorted(set().union(*(expression.free_symbols for expression in sides)), key=str)
    return [symbol for symbol in symbols if _is_function(reference.step.definition(symbol))]


def _applied(expression: sp.Expr) -> bool:
    return any(not isinstance(node, select) for node in expression.atoms(sp.Function))


def _is_function(statement: Statement | None) -> bool:
    return (
        isinstance(statement, Pointwise)
        and isinstance(statement.expression, sp.Function)
        and not isinstance(statement.expression, select)
    )
