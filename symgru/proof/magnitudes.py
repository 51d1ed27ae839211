"""How large the values of a step can be, whatever its inputs: |v| ≤ B for each value, shown line by line.

B is an expression in the bounds of the inputs and in row sums of the weights. Three things are sharper than
the triangle inequality: g(1 − g) ≤ 1/4 for a gate, 1 − n² ≤ 1 for a hyperbolic tangent, and a convex
combination is at most as large as the largest of what it combines.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sympy as sp

from symgru.equations import Contract, Pointwise, Program, Statement, reflect_sigmoid, select, sigmoid
from symgru.proof.inequalities import Inequalities, Product
from symgru.proof.lemmas import (
    COMPLEMENT_POSITIVE,
    ROW_SUMS,
    SELECTION,
    SIGMOID_POSITIVE,
    SIGMOID_REFLECTION,
    TANH_ABOVE_MINUS_ONE,
    TANH_BELOW_ONE,
    check,
)
from symgru.proof.polynomials import expanded
from symgru.proof.terms import masks
from symgru.proof.text import text
from symgru.proof.theorem import ProofError

HALF = sp.Rational(1, 2)
QUARTER = sp.Rational(1, 4)


def norm(parameter: sp.Symbol) -> sp.Symbol:
    """The largest sum of absolute values in a row of a matrix, or the largest absolute value of a vector."""
    return sp.Symbol(f"norm_{parameter}", real=True)


class Magnitudes:
    """Bounds of the values of a program, computed and shown on demand.

    Args:
        program: One step.
        inputs: Bounds of inputs, by symbol; 0 for one that is 0. Those of parameters may be left out: then
            it is their norm.
        known: What is assumed not to be negative, such as M − 1.
        weights: Inputs that are between 0 and 1; masks are.
        moving: Values in which the program is linear, such as tangents: a convex combination is one of these.
        unit: What the bounds of those are multiples of.
    Attributes:
        proof: The inequalities, with the steps.
        largest: Names for the larger of several bounds, and what these are.
    """

    def __init__(
        self,
        program: Program,
        inputs: Mapping[sp.Symbol, sp.Expr],
        known: Collection[sp.Expr] = (),
        weights: Collection[sp.Symbol] = (),
        moving: Collection[sp.Symbol] = (),
        unit: sp.Expr = sp.S.One,
    ):
        self.proof = Inequalities()
        self.proof.given(*known)
        self.largest: dict[sp.Symbol, tuple[sp.Expr, ...]] = {}
        self._program, self._inputs, self._moving, self._unit = program, dict(inputs), frozenset(moving), unit
        self._gates: dict[sp.Expr, sp.Symbol] = {}
        self._weights: set[sp.Symbol] = set()
        self._tanh: set[sp.Symbol] = set()
        self._bounds: dict[sp.Expr, sp.Expr] = {}
        self._definitions: dict[sp.Expr, tuple[sp.Symbol, tuple[str, ...]]] = {}
        for weight in (*weights, *masks(program)):
            self.proof.given(weight, 1 - weight)
            self._weights.add(weight)
        for statement in program:
            self._learn(statement)

    def __call__(self, value: sp.Expr) -> sp.Expr:
        """The bound of a value, or of an expression of values, which is shown if it is not yet.

        Raises:
            ProofError: an input has no bound, or a statement is none that a bound is known for.
        """
        key = expanded(value)
        if key not in self._bounds:
            self._bounds[key] = self._find(value)
        return self._bounds[key]

    def _learn(self, statement: Statement) -> None:
        """Gates are between 0 and 1, and so are their products; hyperbolic tangents between −1 and 1."""
        if not isinstance(statement, Pointwise):
            return
        target, expression = statement.target, statement.expression
        if isinstance(expression, sigmoid):
            names = [check(lemma).name for lemma in (SIGMOID_POSITIVE, COMPLEMENT_POSITIVE)]
            self.proof.argue((target, 1 - target), "σ(a) and 1 − σ(a) are, because exp is", names)
            self._gates[expression] = target
            self._weights.add(target)
        elif isinstance(expression, sp.tanh):
            names = [check(lemma).name for lemma in (TANH_BELOW_ONE, TANH_ABOVE_MINUS_ONE)]
            self.proof.argue(
                (1 - target, 1 + target), "1 − tanh(a) and 1 + tanh(a) are, because exp is", names
            )
            self._tanh.add(target)
        elif statement.reads <= self._weights and (factors := self._factors(expression)):
            self._learn_product(target, factors)

    def _learn_product(self, target: sp.Symbol, factors: Product) -> None:
        """A product of factors from 0 to 1 is from 0 to 1: 1 − vw = (1 − v) + v(1 − w)."""
        if any(1 - factor not in self.proof for factor in factors):
            return
        product = sp.Mul(*factors)
        self.proof.show(product, factors, claim=f"{target} = {product} >= 0")
        left_out = [(*factors[:i], 1 - factor) for i, factor in enumerate(factors)]
        self.proof.show(1 - product, *left_out, claim=f"{target} = {product} <= 1")
        self.proof.given(target, 1 - target)
        self._weights.add(target)

    def _find(self, value: sp.Expr) -> sp.Expr:
        match value:
            case sp.Symbol():
                return self._of_symbol(value)
            case sp.Rational():
                return abs(value)
            case sp.Add():
                return self._of_sum(value)
            case sp.Mul():
                return self._of_product(value)
            case sp.Pow() if value.exp.is_Integer and value.exp > 1:
                return self._of_product(sp.Mul(*[value.base] * int(value.exp), evaluate=False))
        raise ProofError(f"no bound is known for {value}")

    def _of_symbol(self, symbol: sp.Symbol) -> sp.Expr:
        statement = self._program.definition(symbol)
        if symbol in self._weights:
            return self._shown(symbol, sp.S.One, ((1 - symbol,),), ((sp.S.One,), (symbol,)))
        if symbol in self._tanh:
            return sp.S.One
        match statement:
            case None:
                return self._of_input(symbol)
            case Pointwise():
                expression = self._written_out(statement)
                limit = self(expression)
                self.proof.given(limit - symbol, limit + symbol)
                return limit
            case Contract():
                terms = [t for t in statement.terms if not (self._zero(t.matrix) or self._zero(t.vector))]
                if any(term.transposed for term in terms):
                    raise ProofError(f"'{statement}': a bound by the sums of columns is not known")
                limit = sp.Add(*(self._norm(term.matrix) * self(term.vector) for term in terms))
                why = "a sum of products is at most the sum of the absolute values times the largest"
                self.proof.bound(symbol, limit, why, (check(ROW_SUMS).name,))
                return limit
        raise ProofError(f"'{statement}': no bound is known for such a statement")

    def _of_input(self, symbol: sp.Symbol) -> sp.Expr:
        shape = self._program.inputs[symbol]
        if symbol not in self._inputs and (shape.per_step or len(shape.axes) != 1):
            raise ProofError(f"the input {symbol} {shape} has no bound")
        limit = self._inputs[symbol] if symbol in self._inputs else self._norm(symbol)
        self.proof.given(limit - symbol, limit + symbol)
        return limit

    def _norm(self, parameter: sp.Symbol) -> sp.Symbol:
        self.proof.given(norm(parameter))
        return norm(parameter)

    def _of_sum(self, value: sp.Expr) -> sp.Expr:
        for n in self._tanh & value.free_symbols:
            if value == 1 - n**2:
                return self._shown(value, sp.S.One, ((n**2,),), ((sp.S.One,), (1 - n, 1 + n)))
        convex = self._convex_part(value)
        if convex:
            return self._of_convex_sum(value, convex)
        limits = {part: self(part) for part in value.args}
        above = [(limit - part,) for part, limit in limits.items()]
        below = [(limit + part,) for part, limit in limits.items()]
        return self._shown(value, sp.Add(*limits.values()), above, below)

    def _of_convex_sum(self, value: sp.Expr, convex: Mapping[sp.Symbol, Product]) -> sp.Expr:
        limit = self._larger([self(carrier) for carrier in convex])
        for carrier in convex:
            own = self(carrier)
            self._shown(
                carrier, limit, ((limit - own,), (own - carrier,)), ((limit - own,), (own + carrier,))
            )
        rest = expanded(value - sp.Add(*(sp.Mul(*c) * carrier for carrier, c in convex.items())))
        of_rest = self(sp.factor_terms(rest)) if rest != 0 else sp.S.Zero
        above = [(*factors, limit - carrier) for carrier, factors in convex.items()]
        below = [(*factors, limit + carrier) for carrier, factors in convex.items()]
        return self._shown(value, limit + of_rest, (*above, (of_rest - rest,)), (*below, (of_rest + rest,)))

    def _of_product(self, value: sp.Expr) -> sp.Expr:
        """|u v| ≤ A B, factor by factor; a gate and its complement count as one factor, of at most 1/4."""
        factors = list(value.args)
        for gate in self._weights & set(factors):
            if 1 - gate in factors:
                pair = gate * (1 - gate)
                square = ((gate - HALF) ** 2,)
                limit = self._shown(pair, QUARTER, (square,), ((QUARTER,), (gate, 1 - gate)))
                self._bounds[expanded(pair)] = limit
                factors = [pair, *(f for f in factors if f not in (gate, 1 - gate))]
        product = factors[0]
        for factor in factors[1:]:
            product, known = sp.Mul(product, factor), (product, factor)
            if expanded(product) not in self._bounds:
                self._bounds[expanded(product)] = self._of_two(*known)
        return self(product)

    def _of_two(self, u: sp.Expr, v: sp.Expr) -> sp.Expr:
        of_u, of_v = self(u), self(v)
        above = (HALF, of_u - u, of_v + v), (HALF, of_u + u, of_v - v)
        below = (HALF, of_u - u, of_v - v), (HALF, of_u + u, of_v + v)
        return self._shown(u * v, of_u * of_v, above, below)

    def _shown(
        self, value: sp.Expr, limit: sp.Expr, above: Collection[Product], below: Collection[Product]
    ) -> sp.Expr:
        """|value| ≤ limit, by limit − value and limit + value as sums of products."""
        name, lemmas = self._definitions.get(expanded(value), ("", ()))
        equal = f"{name} = {text(value)}" if name else text(value)
        for fact, products, claim in (
            (limit - value, above, f"{equal} <= {text(limit)}"),
            (limit + value, below, f"{equal} >= {text(-limit)}"),
        ):
            if fact not in self.proof:
                self.proof.show(fact, *products, claim=claim, lemmas=lemmas)
        return limit

    def _convex_part(self, value: sp.Expr) -> dict[sp.Symbol, Product] | None:
        """Values that the expression is linear in, with coefficients from 0 on that add up to 1."""
        moving = self._moving & value.free_symbols
        carriers = sorted(moving or value.free_symbols - self._weights, key=str)
        if len(carriers) < 2:
            return None
        polynomial = sp.Poly(value, *carriers)
        if not polynomial.is_homogeneous or polynomial.total_degree() != 1:
            return None
        found = {v: self._factors(polynomial.coeff_monomial(v)) for v in carriers}
        convex = {v: factors for v, factors in found.items() if factors}
        total = expanded(sp.Add(*(sp.Mul(*factors) for factors in convex.values())))
        return convex if total == 1 and len(convex) > 1 else None

    def _factors(self, coefficient: sp.Expr) -> Product | None:
        """Factors of the coefficient, all known not to be negative, or None."""
        if coefficient in self.proof:
            return (coefficient,)
        number, powers = sp.factor_list(coefficient)
        factors = []
        for factor, power in powers:
            sign = 1 if factor in self.proof else -1
            number *= sign**power
            factors += [sign * factor] * power
        return (number, *factors) if number > 0 and all(f in self.proof for f in factors) else None

    def _larger(self, limits: list[sp.Expr]) -> sp.Expr:
        """One of the bounds that is known to be the largest, or a new name for the largest."""
        for limit in limits:
            if all(limit - other in self.proof for other in limits):
                return limit
        parts = tuple(dict.fromkeys(sp.cancel(limit / self._unit) for limit in limits))
        name = sp.Symbol(f"K_{len(self.largest) + 1}", real=True)
        self.largest[name] = parts
        self.proof.given(*(name - part for part in parts))
        for part in parts:
            self.proof.show(name * self._unit - part * self._unit, (name - part, self._unit))
        return name * self._unit

    def _written_out(self, statement: Pointwise) -> sp.Expr:
        """The right-hand side without what is zero, σ(−a) as 1 − σ(a), and choices by masks as sums."""
        zero = {symbol: sp.S.Zero for symbol in statement.reads if self._zero(symbol)}
        stated = statement.expression.xreplace(zero)
        reflected = reflect_sigmoid(stated).xreplace(self._gates)
        expression = reflected.replace(select, lambda m, a, b: m * a + (1 - m) * b)
        used = {SIGMOID_REFLECTION: reflected != stated, SELECTION: expression != reflected}
        names = tuple(check(lemma).name for lemma, needed in used.items() if needed)
        self._definitions.setdefault(expanded(expression), (statement.target, names))
        return expression

    def _zero(self, symbol: sp.Symbol) -> bool:
        match self._program.definition(symbol):
            case None:
                return self._inputs.get(symbol) == 0
            case Pointwise(expression=expression) if symbol in self._moving:
                return all(self._zero(s) for s in expression.free_symbols & self._moving)
            case Contract(terms=terms) if symbol in self._moving:
                return all(self._zero(t.matrix) or self._zero(t.vector) for t in terms)
        return False
