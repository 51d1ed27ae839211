"""A claim as a file of Rocq: both loops, the relation, a lemma a statement, the induction, the theorem."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import sympy as sp

from symgru.equations import Outer, Sum
from symgru.rocq.claim import Claim
from symgru.rocq.lemmas import Side, bare, lemma
from symgru.rocq.modules import binders, module
from symgru.rocq.names import identifier, prelude
from symgru.rocq.terms import RocqError, indices, number, sizes

#: Marks the arguments of the program; no symbol has it, for it makes a name an escaped one.
PRIME = "'"


def export(claims: Iterable[Claim]) -> str:
    """One file that coqc checks by itself; at its end it prints what each theorem assumes.

    Raises:
        RocqError: a statement without a counterpart; the message names it.
    """
    found = list(claims)
    printed = (f"Print Assumptions {name}.{name}." for name in map(theorem_name, found))
    modules = ("\n".join(_Script(claim).lines()) + "\n" for claim in found)
    return "\n".join((prelude(), *modules, *printed, ""))


def theorem_name(claim: Claim) -> str:
    """The name of the theorem, and of the module around it."""
    return identifier(claim.name.replace("-", "_"))


def _comment(text: str) -> str:
    """What no text in it can end: no asterisk, and no quotation mark, which begins a string even here."""
    return f"(* {text.replace('*', '·').replace(chr(34), chr(39))} *)"


def _given(symbol: sp.Symbol) -> str:
    """The hypothesis that relates an argument of the program to those of the reference."""
    return f"{identifier(str(symbol))}_given"


def _names(side: Side, prime: str = "") -> list[str]:
    return [f"{identifier(str(symbol))}{prime}" for symbol in side.step.inputs]


class _Script:
    def __init__(self, claim: Claim):
        self._claim = claim
        self._reference = Side("Reference", "v", "alias", claim.reference, claim.aliases)
        self._program = Side("Program", "v'", "related", claim.program, claim.images)
        self._sizes = " ".join(sizes(claim.reference.step.shapes))

    def lines(self) -> Iterator[str]:
        name = theorem_name(self._claim)
        yield _comment(self._claim.text)
        yield f"Module {name}."
        yield from module(self._reference.module, self._claim.reference)
        yield from module(self._program.module, self._claim.program)
        yield from self._relation()
        yield from self._lemmas()
        yield from self._induction()
        yield from self._theorem(name)
        yield f"End {name}."

    def _relation(self) -> Iterator[str]:
        """What is assumed of the inputs of one step."""
        program = self._program
        fields = []
        for symbol, shape in program.step.inputs.items():
            image = bare(program.images[symbol], self._reference.element)
            name = f"{identifier(str(symbol))}_{program.suffix}"
            fields.append(f"  {name} : forall {indices(shape)}, {program.element(symbol)} = {image}")
        yield f"Record related {{{self._sizes} : nat}} {self._pair} : Prop := Related {{"
        yield ";\n".join(fields)
        yield "}."

    @property
    def _pair(self) -> str:
        program = " ".join(sizes(self._program.step.shapes))
        return f"(v : @Reference.inputs {self._sizes}) (v' : @Program.inputs {program})"

    def _lemmas(self) -> Iterator[str]:
        yield "Section Related."
        yield f"Context {{{self._sizes} : nat}} {self._pair} (r : related v v')."
        for statement in self._reference.step:
            if statement.target in self._reference.images:
                yield from lemma(statement, self._reference, self._reference)
        for statement in self._program.step:
            yield from lemma(statement, self._program, self._reference)
        for output, image in self._shown().items():
            if image != self._program.images[output]:
                yield from self._read_off(output, image)
        yield "End Related."

    def _shown(self) -> dict[sp.Symbol, sp.Expr]:
        """The outputs of the theorem, and what the induction needs."""
        moved = dict(self._reference.loop.carry)
        carried = {
            leaving: self._program.images[entering].xreplace(moved)
            for entering, leaving in self._program.loop.carry
        }
        return carried | dict(self._claim.goal)

    def _read_off(self, output: sp.Symbol, image: sp.Expr) -> Iterator[str]:
        at = indices(self._program.step.shapes[output])
        read = (output, self._program), *((s, self._reference) for s in sorted(image.free_symbols, key=str))
        lemmas = (f"?{side.lemma(symbol)}" for symbol, side in read if symbol in side.images)
        yield f"Lemma {self._conclusion(output)} : forall {at},"
        yield f"  {self._program.element(output)} = {bare(image, self._reference.element)}."
        yield f"Proof using r. intros {at}; rewrite {', '.join(lemmas)}; calculate. Qed."

    def _conclusion(self, output: sp.Symbol) -> str:
        """The lemma that says of an output what the theorem does."""
        same = self._shown()[output] == self._program.images[output]
        return f"{identifier(str(output))}_{self._program.suffix if same else 'shown'}"

    def _induction(self) -> Iterator[str]:
        step, leaving = self._program.step, dict(self._program.loop.carry)
        given = [f"exact ({_given(s)} {' '.join('_' * len(self._at(s)))})" for s in step.inputs]
        again = (
            f"exact ({self._conclusion(leaving[symbol])} _ _ IH _ _)" if symbol in leaving else first
            for symbol, first in zip(step.inputs, given, strict=True)
        )
        yield "Lemma at_every_step :"
        yield from self._hypotheses()
        yield f"  forall t, related ({self._run(self._reference)} t) ({self._run(self._program)} t)."
        yield "Proof."
        yield "  intros; induction t as [|before IH]; constructor; intros."
        yield from (f"  - {line}." for line in (*given, *again))
        yield "Qed."

    def _hypotheses(self) -> Iterator[str]:
        """For all arguments of both loops, those of the program primed, that are related."""
        program, steps = self._program, " (steps : nat)" if self._program.loop.reverse else ""
        yield f"  forall ({self._sizes} : nat){steps}"
        yield f"    {binders(self._reference.loop)}"
        yield f"    {binders(program.loop, PRIME)}"
        for position, symbol in enumerate(program.step.inputs, 1):
            at = " ".join(self._at(symbol))
            image = bare(program.images[symbol], self._first)
            end = "," if position == len(program.step.inputs) else ""
            primed = f"{identifier(str(symbol))}{PRIME} {at}"
            yield f"    ({_given(symbol)} : forall {at}, {primed} = {image}){end}"

    def _first(self, symbol: sp.Symbol) -> str:
        """An element of an argument of the reference."""
        return f"{identifier(str(symbol))} {' '.join(self._at(symbol))}"

    def _at(self, symbol: sp.Symbol) -> tuple[str, ...]:
        """What an argument of the loop is applied to: a sequence also to the step."""
        loop = self._reference.loop
        shape = loop.step.inputs.get(symbol) or self._program.step.inputs[symbol]
        sequence = shape.per_step and symbol not in loop.carried | self._program.loop.carried
        return (*(("t",) if sequence else ()), *indices(shape).split())

    def _run(self, side: Side) -> str:
        """The loop of a side on its arguments."""
        prime = PRIME if side is self._program else ""
        steps = ["steps"] if side.loop.reverse else []
        return " ".join((f"{side.module}.at_step", *steps, *_names(side, prime)))

    def _theorem(self, name: str) -> Iterator[str]:
        goal, program = self._claim.goal, self._program
        arguments = [self._sizes, *(["steps"] if program.loop.reverse else [])]
        arguments += [*_names(self._reference), *_names(program, PRIME), *map(_given, program.step.inputs)]
        yield f"Theorem {name} :"
        yield from self._hypotheses()
        yield f"  let reference := {self._run(self._reference)} in"
        yield f"  let program := {self._run(program)} in"
        yield " /\\\n".join(f"  ({self._equation(output, image)})" for output, image in goal.items()) + "."
        yield "Proof."
        yield f"  intros {' '.join(arguments)} reference program."
        yield "  assert (every : forall t, related (reference t) (program t))"
        yield f"    by exact (at_every_step {' '.join(arguments)})."
        if len(goal) > 1:
            yield "  repeat apply conj."
        for output, image in goal.items():
            yield f"  - {self._reading(output, image)}."
        yield "Qed."

    def _adds_up(self, output: sp.Symbol) -> bool:
        return isinstance(self._program.step.definition(output), (Outer, Sum))

    def _elements(self, output: sp.Symbol, image: sp.Expr) -> tuple[str, str]:
        """An output of the program at step t, and its image in the values of the reference."""
        left = self._program.element(output, "(program t)")
        return left, bare(image, lambda symbol: self._reference.element(symbol, "(reference t)"))

    def _equation(self, output: sp.Symbol, image: sp.Expr) -> str:
        at = self._quantified(output)
        if not self._adds_up(output):
            left, right = self._elements(output, image)
            return f"forall {at}, {left} = {right}"
        factor, base = self._multiple(output, image)
        left, right = (f"over_steps steps (fun t => {text})" for text in self._elements(output, base))
        scaled = right if factor == 1 else f"- {right}" if factor == -1 else f"{number(factor)} * {right}"
        return f"forall {at}, {left} = {scaled}"

    def _quantified(self, output: sp.Symbol) -> str:
        """What the equation of an output is for all of: steps, examples, units."""
        at = indices(self._program.step.shapes[output])
        if not self._adds_up(output):
            return f"t {at}"
        return at if self._program.loop.reverse else f"steps {at}"

    def _multiple(self, output: sp.Symbol, image: sp.Expr) -> tuple[sp.Rational, sp.Symbol]:
        factor, base = image.as_coeff_Mul()
        if not base.is_Symbol:
            raise RocqError(f"{output} adds up over the steps; expected a multiple of a sum, got {image}")
        return factor, base

    def _reading(self, output: sp.Symbol, image: sp.Expr) -> str:
        """The proof of the equation of an output."""
        if not self._adds_up(output):
            return f"exact (fun t => {self._conclusion(output)} _ _ (every t))"
        factor, base = self._multiple(output, image)
        left, right = (f"(fun t => {text})" for text in self._elements(output, base))
        step = f"intro t; cbv beta; rewrite ({self._conclusion(output)} _ _ (every t)); close"
        scaled = f"over_steps_scaled steps {number(factor)} {left} {right}"
        return f"intros {self._quantified(output)}; rewrite ({scaled}); [close | {step}]"
