"""The lemmas that proofs may use, each checked from the definition of what it is about.

Functions are rewritten with exp, relu(a) as (a + |a|)/2. Contraction is written out as a sum over units,
outer product and sum as double sums over steps and examples, all of a number that stays symbolic: so they
hold for every size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import sympy as sp

from symgru.equations import relu, sigmoid
from symgru.proof.theorem import ProofError


class Tanh(sp.Function):
    """tanh without SymPy's automatic tanh(−a) = −tanh(a), so that using that fact is a visible step."""

    nargs = 1

    def _eval_rewrite_as_exp(self, argument: sp.Expr, **_: object) -> sp.Expr:
        return (sp.exp(argument) - sp.exp(-argument)) / (sp.exp(argument) + sp.exp(-argument))

    def _sympystr(self, printer: sp.StrPrinter) -> str:
        return f"tanh({printer.doprint(self.args[0])})"


Case = tuple[tuple[sp.Symbol, sp.Expr], ...]


@dataclass(frozen=True)
class Lemma:
    """An identity, left = right.

    Attributes:
        name: How steps refer to it.
        statement, latex: For reading.
        left, right: Both sides. A lemma f(−a) = … is used as a rule that rewrites its left side.
        cases: Values for which it is claimed, one set of substitutions each; by default all real values.
    Raises:
        ProofError: there is no case, so the lemma says nothing.
    """

    name: str
    statement: str
    latex: str
    left: sp.Expr
    right: sp.Expr
    cases: tuple[Case, ...] = ((),)

    def __post_init__(self) -> None:
        if not self.cases:
            raise ProofError(f"lemma '{self.name}' has no case, so it says nothing")

    @property
    def universal(self) -> bool:
        """Whether it is claimed for all real values of its symbols."""
        symbols = self.left.free_symbols | self.right.free_symbols
        unrestricted = all(s == sp.Symbol(str(s), real=True) for s in symbols)
        return unrestricted and self.cases == ((),)

    def residual(self) -> sp.Expr:
        """Left minus right from the definitions, simplified: zero, or the first case that is not."""
        for case in self.cases:
            difference = (self.left - self.right).xreplace(dict(case)).rewrite(sp.exp)
            difference = difference.replace(relu, lambda a: sp.Max(a, 0).rewrite(sp.Abs))
            remainder = sp.S.Zero if _vanishes(difference) else sp.simplify(sp.expand(difference))
            if remainder != 0:
                return remainder
        return sp.S.Zero


def _vanishes(difference: sp.Expr) -> bool:
    """Whether it is 0 with constants outside of sums, on one denominator: most are, and simplify is slow."""
    outside = sp.factor_terms(sp.expand(difference))
    sums = {total: _from_one(total) for total in outside.atoms(sp.Sum)}
    numerator, _ = sp.fraction(sp.together(sp.expand(outside.xreplace(sums))))
    return bool(sp.expand(numerator) == 0)


def _from_one(total: sp.Sum) -> sp.Expr:
    """A sum from another number on is that from 1 on without the part before."""
    (index, lower, upper), *others = total.limits
    if lower == 1 or others:
        return total
    return sp.Sum(total.function, (index, 1, upper)) - sp.Sum(total.function, (index, 1, lower - 1))


@cache
def check(lemma: Lemma) -> Lemma:
    """The lemma, if it holds.

    Raises:
        ProofError: left and right differ.
    """
    residual = lemma.residual()
    if residual != 0:
        raise ProofError(f"lemma '{lemma.name}' does not hold: {lemma.left} - ({lemma.right}) is {residual}")
    return lemma


A, B, M = sp.symbols("a b m", real=True)

SIGMOID_REFLECTION = Lemma(
    "sigmoid reflection",
    "σ(−a) = 1 − σ(a), because 1/(1 + eᵃ) = 1 − 1/(1 + e⁻ᵃ)",
    r"\sigma(-a) = 1 - \sigma(a)",
    sigmoid(-A),
    1 - sigmoid(A),
)
TANH_ODD = Lemma(
    "tanh is odd",
    "tanh(−a) = −tanh(a)",
    r"\tanh(-a) = -\tanh(a)",
    Tanh(-A),
    -Tanh(A),
)
RELU_REFLECTION = Lemma(
    "relu reflection",
    "relu(−a) = relu(a) − a, because max(−a, 0) = max(a, 0) − a",
    r"\mathrm{relu}(-a) = \mathrm{relu}(a) - a",
    relu(-A),
    relu(A) - A,
)
SELECTION = Lemma(
    "selection by a mask",
    "select(m, a, b) = m a + (1 − m) b for a mask m of 0 and 1",
    r"\mathrm{select}(m, a, b) = m\,a + (1 - m)\,b",
    sp.Piecewise((A, sp.Eq(M, 1)), (B, True)),
    M * A + (1 - M) * B,
    cases=(((M, sp.S.Zero),), ((M, sp.S.One),)),
)
COMPLEMENT_POSITIVE = Lemma(
    "complementary gate",
    "1 − σ(a) = 1/(1 + eᵃ), which is positive",
    r"1 - \sigma(a) = \frac{1}{1 + e^{a}} > 0",
    1 - sigmoid(A),
    1 / (1 + sp.exp(A)),
)
TANH_INCREASING = Lemma(
    "tanh is increasing",
    "tanh′(a) = 4/(eᵃ + e⁻ᵃ)², which is positive: tanh takes no value twice",
    r"\tanh'(a) = \frac{4}{(e^{a} + e^{-a})^2} > 0",
    sp.diff(Tanh(A).rewrite(sp.exp), A),
    4 / (sp.exp(A) + sp.exp(-A)) ** 2,
)
TANH_BY_EXP = Lemma(
    "tanh by one exponential",
    "tanh(a) = 1 − 2/(1 + e²ᵃ), the form that interval arithmetic evaluates",
    r"\tanh(a) = 1 - \frac{2}{1 + e^{2a}}",
    Tanh(A),
    1 - 2 / (1 + sp.exp(2 * A)),
)

_SIZE, _STEPS, _BATCH = sp.symbols("n T B", integer=True, positive=True)
_I, _J, _T, _E = sp.symbols("i j t e", integer=True)  # two units, a step, an example
_W, _V, _X, _Y = (sp.IndexedBase(name) for name in ("W", "V", "x", "y"))

_UNITS = ((_J, 1, _SIZE),)
_STEPS_AND_EXAMPLES = ((_T, 1, _STEPS), (_E, 1, _BATCH))

Range = tuple[sp.Symbol, int, sp.Symbol]
Pair = tuple[sp.Expr, sp.Expr]


def _bilinear(left: Pair, right: Pair, over: tuple[Range, ...]) -> Pair:
    """Both sides of f(a·u₁ + u₂, b·v₁ + v₂) = ab f(u₁, v₁) + a f(u₁, v₂) + b f(u₂, v₁) + f(u₂, v₂)."""
    (u_1, u_2), (v_1, v_2) = left, right
    parts = (A * B, u_1 * v_1), (A, u_1 * v_2), (B, u_2 * v_1), (sp.S.One, u_2 * v_2)
    whole = sp.Sum((A * u_1 + u_2) * (B * v_1 + v_2), *over)
    return whole, sp.Add(*(number * sp.Sum(summand, *over) for number, summand in parts))


CONTRACTION_BILINEAR = Lemma(
    "contraction is bilinear",
    "(aW + V)(bx + y) = ab Wx + a Wy + b Vx + Vy, so (−W)x = W(−x) = −(Wx), for every number of units",
    r"\textstyle\sum_j (aW_{ij} + V_{ij})(bx_j + y_j) = ab\,(Wx)_i + a\,(Wy)_i + b\,(Vx)_i + (Vy)_i",
    *_bilinear((_W[_I, _J], _V[_I, _J]), (_X[_J], _Y[_J]), _UNITS),
)
TRANSPOSED_BILINEAR = Lemma(
    "transposed contraction is bilinear",
    "(aW + V)ᵀ(bx + y) = ab Wᵀx + a Wᵀy + b Vᵀx + Vᵀy, for every number of units",
    r"\textstyle\sum_j (aW_{ji} + V_{ji})(bx_j + y_j) = "
    r"ab\,(W^\top x)_i + a\,(W^\top y)_i + b\,(V^\top x)_i + (V^\top y)_i",
    *_bilinear((_W[_J, _I], _V[_J, _I]), (_X[_J], _Y[_J]), _UNITS),
)
OUTER_BILINEAR = Lemma(
    "outer product is bilinear",
    "Σ (au + v)(bx + y)ᵀ = ab Σuxᵀ + a Σuyᵀ + b Σvxᵀ + Σvyᵀ, summed over any number of steps and examples",
    r"\textstyle\sum_{t,e} (au_{tei} + v_{tei})(bx_{tej} + y_{tej}) = "
    r"ab \sum_{t,e} u_{tei} x_{tej} + a \sum_{t,e} u_{tei} y_{tej} + b \sum_{t,e} v_{tei} x_{tej} + "
    r"\sum_{t,e} v_{tei} y_{tej}",
    *_bilinear((_W[_T, _E, _I], _V[_T, _E, _I]), (_X[_T, _E, _J], _Y[_T, _E, _J]), _STEPS_AND_EXAMPLES),
)
SUM_LINEAR = Lemma(
    "sum is linear",
    "Σ (ax + y) = a Σx + Σy, over any number of steps and examples",
    r"\textstyle\sum_{t,e} (a x_{tei} + y_{tei}) = a \sum_{t,e} x_{tei} + \sum_{t,e} y_{tei}",
    sp.Sum(A * _X[_T, _E, _I] + _Y[_T, _E, _I], *_STEPS_AND_EXAMPLES),
    A * sp.Sum(_X[_T, _E, _I], *_STEPS_AND_EXAMPLES) + sp.Sum(_Y[_T, _E, _I], *_STEPS_AND_EXAMPLES),
)

MEAN_LINEAR = Lemma(
    "mean is linear",
    "mean(ax + y) = a mean(x) + mean(y), for every number of units",
    r"\tfrac{1}{n}\textstyle\sum_j (a x_j + y_j) = a\,\tfrac{1}{n}\sum_j x_j + \tfrac{1}{n}\sum_j y_j",
    sp.Sum(A * _X[_J] + _Y[_J], *_UNITS) / _SIZE,
    (A * sp.Sum(_X[_J], *_UNITS) + sp.Sum(_Y[_J], *_UNITS)) / _SIZE,
)

SIGMOID_POSITIVE = Lemma(
    "gate is positive",
    "σ(a) = 1/(1 + e⁻ᵃ), which is positive",
    r"\sigma(a) = \frac{1}{1 + e^{-a}} > 0",
    sigmoid(A),
    1 / (1 + sp.exp(-A)),
)
TANH_BELOW_ONE = Lemma(
    "tanh is below 1",
    "1 − tanh(a) = 2/(1 + e²ᵃ), which is positive",
    r"1 - \tanh(a) = \frac{2}{1 + e^{2a}} > 0",
    1 - Tanh(A),
    2 / (1 + sp.exp(2 * A)),
)
TANH_ABOVE_MINUS_ONE = Lemma(
    "tanh is above −1",
    "1 + tanh(a) = 2/(1 + e⁻²ᵃ), which is positive",
    r"1 + \tanh(a) = \frac{2}{1 + e^{-2a}} > 0",
    1 + Tanh(A),
    2 / (1 + sp.exp(-2 * A)),
)
ROW_SUMS = Lemma(
    "contraction is bounded by the sums of the rows",
    "a Σⱼ|Wᵢⱼ| − Σⱼ Wᵢⱼxⱼ = Σⱼ ½((|Wᵢⱼ| + Wᵢⱼ)(a − xⱼ) + (|Wᵢⱼ| − Wᵢⱼ)(a + xⱼ)), and no part is negative if "
    "all |xⱼ| ≤ a; the same with −W for W",
    r"a \textstyle\sum_j |W_{ij}| - \sum_j W_{ij} x_j = \sum_j \tfrac{1}{2}\bigl((|W_{ij}| + W_{ij})(a - "
    r"x_j) + (|W_{ij}| - W_{ij})(a + x_j)\bigr)",
    A * sp.Sum(sp.Abs(_W[_I, _J]), *_UNITS) - sp.Sum(_W[_I, _J] * _X[_J], *_UNITS),
    sp.Sum(
        ((sp.Abs(_W[_I, _J]) + _W[_I, _J]) * (A - _X[_J]) + (sp.Abs(_W[_I, _J]) - _W[_I, _J]) * (A + _X[_J]))
        / 2,
        *_UNITS,
    ),
)

_MORE = sp.Symbol("m", integer=True, positive=True)
BLOCKS = Lemma(
    "contraction in blocks",
    "Σⱼ Wᵢⱼxⱼ over n + m units is the sum over the first n plus the sum over the other m",
    r"\textstyle\sum_{j=1}^{n+m} W_{ij} x_j = \sum_{j=1}^{n} W_{ij} x_j + \sum_{j=n+1}^{n+m} W_{ij} x_j",
    sp.Sum(_W[_I, _J] * _X[_J], (_J, 1, _SIZE + _MORE)),
    sp.Sum(_W[_I, _J] * _X[_J], *_UNITS) + sp.Sum(_W[_I, _J] * _X[_J], (_J, _SIZE + 1, _SIZE + _MORE)),
)

LEMMAS: tuple[Lemma, ...] = (
    SIGMOID_REFLECTION,
    TANH_ODD,
    RELU_REFLECTION,
    SELECTION,
    COMPLEMENT_POSITIVE,
    TANH_INCREASING,
    TANH_BY_EXP,
    CONTRACTION_BILINEAR,
    TRANSPOSED_BILINEAR,
    OUTER_BILINEAR,
    SUM_LINEAR,
    MEAN_LINEAR,
    SIGMOID_POSITIVE,
    TANH_BELOW_ONE,
    TANH_ABOVE_MINUS_ONE,
    ROW_SUMS,
    BLOCKS,
)
