"""Odd update rules keep mirrored parameters mirrored; rules that are not odd are refused."""

from dataclasses import replace

import pytest
import sympy as sp

from symgru.proof import OPTIMISERS, ProofError, mirrored_update, training_mirrors
from symgru.proof.training import BUFFER, FIRST, GRADIENT, PARAMETER, RATE, SECOND, Optimiser, clipping

BOTH = frozenset({PARAMETER, GRADIENT})


def rule(name, update, mirrored=BOTH):
    return Optimiser(name, {"planted": {PARAMETER: update}}, mirrored, "a test")


@pytest.mark.parametrize("name", OPTIMISERS)
def test_training_stays_mirrored(name):
    theorem = training_mirrors(name)
    assert all(step.checked for step in theorem.steps[:-1])
    assert theorem.steps[-1].justification.startswith("induction over the steps k")
    assert (theorem.rules, len(theorem.premises)) == (1, 6)


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize(
    "what",
    ["initial parameters", "the loss", "other layers", "random draws", "batches", "schedule", "L2 norm"],
)
def test_nothing_is_taken_for_granted_in_silence(name, what):
    assert any(what in assumption for assumption in training_mirrors(name).assumptions)


def test_every_state_of_every_case_has_a_step():
    for optimiser in (*OPTIMISERS.values(), clipping()):
        states = sum(len(update) for update in optimiser.cases.values())
        assert len(mirrored_update(optimiser)) == states
    assert len(OPTIMISERS["sgd"].cases) == 5


@pytest.mark.parametrize(
    ("name", "state"), [("sgd", BUFFER), ("adam", FIRST), ("adamw", FIRST)], ids=lambda value: str(value)
)
def test_a_state_that_is_not_mirrored_is_refused(name, state):
    optimiser = OPTIMISERS[name]
    with pytest.raises(ProofError, match=f"{optimiser.name}, "):
        mirrored_update(replace(optimiser, mirrored=optimiser.mirrored - {state}))


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_a_mirrored_second_moment_is_refused(name):
    optimiser = OPTIMISERS[name]
    with pytest.raises(ProofError, match=f"{optimiser.name}, plain"):
        mirrored_update(replace(optimiser, mirrored=optimiser.mirrored | {SECOND}))


@pytest.mark.parametrize("name", OPTIMISERS)
def test_gradients_that_are_not_mirrored_are_refused(name):
    optimiser = OPTIMISERS[name]
    with pytest.raises(ProofError):
        mirrored_update(replace(optimiser, mirrored=optimiser.mirrored - {GRADIENT}))


@pytest.mark.parametrize(
    "optimiser",
    [
        rule("clip to the non-negative", sp.Max(0, PARAMETER - RATE * GRADIENT)),
        rule("decay towards one", PARAMETER - RATE * (GRADIENT + PARAMETER - 1)),
        rule("exponentiated gradient", PARAMETER * sp.exp(-RATE * GRADIENT)),
        rule("absolute gradient", PARAMETER - RATE * sp.Abs(GRADIENT)),
    ],
    ids=lambda optimiser: optimiser.name,
)
def test_a_rule_that_is_not_odd_is_refused(optimiser):
    with pytest.raises(ProofError, match=f"{optimiser.name}, planted: expected the new theta to be"):
        mirrored_update(optimiser)


def test_an_odd_rule_is_accepted():
    assert mirrored_update(rule("sign descent", PARAMETER - RATE * sp.sign(GRADIENT)))
