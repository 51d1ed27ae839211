"""Training keeps mirrored parameters mirrored: the update rules of SGD, Adam and AdamW are odd.

An update rule acts on each element of a parameter alone, so one scalar expression per state is all of it.
With S the change of sign of (W_z, U_z, b_z): the gradient theorem gives g′ = S g, oddness gives
update(Sθ, Sg) = S update(θ, g), and induction over the optimisation steps does the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import sympy as sp

from symgru.equations import Reset
from symgru.proof.polarity import ASSUMPTIONS, MASKED, gradients_mirror
from symgru.proof.theorem import ProofError, Step, Theorem

PARAMETER, GRADIENT, BUFFER, FIRST = sp.symbols("theta g b m", real=True)
SECOND, SECOND_MAX = sp.symbols("v v_max", nonnegative=True)
RATE, DECAY, EPSILON, LIMIT = sp.symbols("lr lambda epsilon c", positive=True)
MOMENTUM, DAMPENING, BETA_1, BETA_2 = sp.symbols("mu tau beta_1 beta_2", real=True)
COUNT = sp.Symbol("t", integer=True, positive=True)
NORM, REST = sp.symbols("norm rest", nonnegative=True)  # of all elements, and of all but this one

SYMBOLS = (
    "theta: the parameter; g: its gradient; lr: the learning rate; lambda: the weight decay",
    "b: the buffer of SGD; mu: its momentum; tau: its dampening",
    "m, v, v_max: the moments of Adam; beta_1, beta_2: their decay; epsilon: the number that keeps the "
    "divisor from 0; t: the number of the step",
    "norm: the L2 norm of the gradient over all parameters; rest: that of all elements but this one; c: the "
    "limit of clipping",
)
TRAINING_ASSUMPTIONS = (
    "the initial parameters and states of the optimiser are mirrored: zeros stay zeros, a gate bias that "
    "starts at +1 starts at −1",
    "the loss is the same differentiable function of the outputs of the GRU",
    "all other layers start with equal parameters and see equal values, so they stay equal",
    "the random draws are the same in both runs, those of dropout too",
    "the batches are the same, in the same order, with the same initial state of every batch",
    "the hyper-parameters are the same at every step, the learning rate of a schedule too",
    "the optimiser acts on each element alone; where gradients are clipped, it is by the L2 norm over all "
    "parameters, which is equal because squares are",
)

Update = Mapping[sp.Symbol, sp.Expr]


@dataclass(frozen=True)
class Optimiser:
    """An update rule.

    Attributes:
        name: Identifier.
        cases: Title of a case -> the new value of the parameter and of every state, in the old ones.
        mirrored: What changes sign: the parameter, its gradient, and states that are sums of gradients.
        source: Where the rule is published.
    """

    name: str
    cases: Mapping[str, Update]
    mirrored: frozenset[sp.Symbol]
    source: str


def sgd() -> Optimiser:
    """Stochastic gradient descent with momentum, dampening, Nesterov momentum and L2 weight decay.

    Source: torch.optim.SGD, the algorithm in its documentation; the buffer starts as the first gradient.
    """
    gradient = GRADIENT + DECAY * PARAMETER
    buffer = MOMENTUM * BUFFER + (1 - DAMPENING) * gradient
    cases: dict[str, Update] = {"without momentum": {PARAMETER: PARAMETER - RATE * gradient}}
    for title, new in (("first step", gradient), ("later steps", buffer)):
        cases[f"momentum, {title}"] = {PARAMETER: PARAMETER - RATE * new, BUFFER: new}
        ahead = gradient + MOMENTUM * new
        cases[f"Nesterov momentum, {title}"] = {PARAMETER: PARAMETER - RATE * ahead, BUFFER: new}
    return Optimiser("SGD", cases, frozenset({PARAMETER, GRADIENT, BUFFER}), "torch.optim.SGD")


def _adam_step(parameter: sp.Expr, gradient: sp.Expr, maximum: bool) -> dict[sp.Symbol, sp.Expr]:
    first = BETA_1 * FIRST + (1 - BETA_1) * gradient
    second = BETA_2 * SECOND + (1 - BETA_2) * gradient**2
    largest = sp.Max(SECOND_MAX, second) if maximum else second
    step = (first / (1 - BETA_1**COUNT)) / (sp.sqrt(largest / (1 - BETA_2**COUNT)) + EPSILON)
    update = {PARAMETER: parameter - RATE * step, FIRST: first, SECOND: second}
    return update | ({SECOND_MAX: largest} if maximum else {})


def adam() -> Optimiser:
    """Adam, with L2 weight decay added to the gradient, with and without AMSGrad.

    Source: torch.optim.Adam; Kingma and Ba 2015, arXiv:1412.6980, algorithm 1.
    """
    gradient = GRADIENT + DECAY * PARAMETER
    cases = {title: _adam_step(PARAMETER, gradient, title == "AMSGrad") for title in ("plain", "AMSGrad")}
    return Optimiser(
        "Adam", cases, frozenset({PARAMETER, GRADIENT, FIRST}), "torch.optim.Adam; arXiv:1412.6980"
    )


def adamw() -> Optimiser:
    """Adam with weight decay decoupled from the gradient.

    Source: torch.optim.AdamW; Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2.
    """
    decayed = PARAMETER - RATE * DECAY * PARAMETER
    cases = {title: _adam_step(decayed, GRADIENT, title == "AMSGrad") for title in ("plain", "AMSGrad")}
    return Optimiser(
        "AdamW", cases, frozenset({PARAMETER, GRADIENT, FIRST}), "torch.optim.AdamW; arXiv:1711.05101"
    )


def clipping() -> Optimiser:
    """The gradient scaled down to a limit of its norm over all parameters, which no change of sign alters.

    Source: torch.nn.utils.clip_grad_norm_.
    """
    scaled = GRADIENT * sp.Min(1, LIMIT / (NORM + EPSILON))
    cases = {"gradient clipping by norm": {NORM: sp.sqrt(GRADIENT**2 + REST**2), GRADIENT: scaled}}
    return Optimiser("clipping", cases, frozenset({GRADIENT}), "torch.nn.utils.clip_grad_norm_")


def mirrored_update(optimiser: Optimiser) -> tuple[Step, ...]:
    """Show that the rule takes mirrored values to mirrored values, case by case.

    Raises:
        ProofError: a new value is not mirrored (or, for an even state, not equal).
    """
    signs = {symbol: -symbol for symbol in optimiser.mirrored}
    steps = []
    for case, update in optimiser.cases.items():
        for symbol, new in update.items():
            expected = -new if symbol in optimiser.mirrored else new
            mirrored = new.xreplace(signs)
            odd = symbol in optimiser.mirrored
            step = Step(
                f"{symbol}_new′ = {'-' if odd else ''}{symbol}_new",
                f"{symbol}_new = {new} is {'odd' if odd else 'even'}",
                (mirrored, expected),
                case=case,
            )
            if not step.checked:
                raise ProofError(
                    f"{optimiser.name}, {case}: expected the new {symbol} to be {expected}, it differs by "
                    f"{step.residual}"
                )
            steps.append(step)
    return tuple(steps)


@cache
def _clipped() -> tuple[Step, ...]:
    return mirrored_update(clipping())


@cache
def training_mirrors(name: str) -> Theorem:
    """Training from mirrored parameters stays mirrored, with the same losses.

    Args:
        name: sgd, adam or adamw.
    Raises:
        ProofError: the rule is not odd, or the gradients are not mirrored.
    """
    optimiser = OPTIMISERS[name]
    theorems = [gradients_mirror(reset, lengths) for lengths in (False, True) for reset in Reset]
    steps = (*_clipped(), *mirrored_update(optimiser), _induction())
    return Theorem(
        name=f"training-mirrors-{name}",
        statement=f"Trained by {optimiser.name} from mirrored parameters on the same data, the two "
        "polarities have the same outputs, losses and (mirrored) parameters after every step of the "
        "optimiser, with and without lengths.",
        latex=r"\theta'_0 = S\theta_0 \;\Rightarrow\; \theta'_k = S\theta_k,\; \mathcal{L}'_k = \mathcal{L}_k"
        r"\quad\text{for all } k, \qquad S = \mathrm{diag}(\pm 1)",
        assumptions=(*ASSUMPTIONS, MASKED, *TRAINING_ASSUMPTIONS),
        premises=tuple(theorem.name for theorem in theorems),
        steps=steps,
        conclusion="After every step of the optimiser the parameters are mirrored, so the outputs and losses "
        "are equal (the theorems this rests on). Stacked and bidirectional layers follow layer by layer: "
        "each layer has equal inputs and outputs and hands equal gradients to the one below.",
        equations=(("one element of a parameter", SYMBOLS),),
    )


def _induction() -> Step:
    return Step(
        "θ′_k = S θ_k for all k",
        "induction over the steps k of the optimiser: mirrored parameters give equal outputs and losses and "
        "mirrored gradients (the theorems this rests on); the update rule takes mirrored gradients, "
        "parameters and states to mirrored ones; what is not negated is updated equally in both runs",
    )


OPTIMISERS: Mapping[str, Optimiser] = {"sgd": sgd(), "adam": adam(), "adamw": adamw()}
