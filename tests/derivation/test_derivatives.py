"""Every derivative: dot-product test, Taylor slopes, brute force; and the checks themselves can fail."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from symgru.derivation import cotangent, forward, jvp, tangent, vjp
from symgru.derivation.caching import clear
from symgru.derivation.partials import Partials
from symgru.equations import (
    CellBuilder,
    Contract,
    Outer,
    Pointwise,
    Polarity,
    Product,
    Program,
    Reset,
    Sum,
    bias,
    gru,
    matrix,
    sigmoid,
    step,
    tanh,
    vector,
    with_lengths,
)
from symgru.lowering.evaluate import evaluate
from symgru.testing.derivatives import assert_dot_product, assert_taylor
from symgru.testing.loops import Differentiable, Sizes, draw

CELLS = [wrap(gru(p, r)) for p in Polarity for r in Reset for wrap in (lambda c: c, with_lengths)]
sizes = st.builds(
    lambda t, b, i, h: Sizes(t, b, {"I": i, "H": h}),
    st.integers(1, 6),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(1, 6),
)


def directions(cell, size, seed):
    return {name: value for name, value in draw(cell, size, seed).items() if name != "valid"}


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c.name)
@given(size=sizes, seed=st.integers(0, 2**31))
def test_dot_product(cell, size, seed):
    derivative, point = Differentiable(cell), draw(cell, size, seed)
    cotangents = derivative.states(draw(cell, size, seed + 2))
    assert_dot_product(
        lambda t: derivative.jvp(point, t),
        lambda w: derivative.vjp(point, w),
        directions(cell, size, seed + 1),
        cotangents,
    )


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c.name)
@pytest.mark.parametrize("seed", range(3))
def test_taylor(cell, seed):
    size = Sizes(5, 3, {"I": 3, "H": 5})
    derivative, point = Differentiable(cell), draw(cell, size, seed)
    assert_taylor(
        derivative.states, lambda t: derivative.jvp(point, t), point, directions(cell, size, seed + 100)
    )


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c.name)
def test_backpropagation_is_the_transposed_jacobian(cell):
    """Column by column, the tangent loop on unit vectors is the backward loop's matrix."""
    size = Sizes(2, 2, {"I": 2, "H": 2})
    derivative, point = Differentiable(cell), draw(cell, size, seed=5)
    cotangent = derivative.states(draw(cell, size, seed=6))
    gradients = derivative.vjp(point, cotangent)
    assert gradients.keys() == directions(cell, size, 0).keys()
    for name, gradient in gradients.items():
        for index in np.ndindex(gradient.shape):
            unit = {n: np.zeros_like(v) for n, v in directions(cell, size, 0).items()}
            unit[name][index] = 1.0
            column = derivative.jvp(point, unit)["h_new"]
            assert abs((column * cotangent["h_new"]).sum() - gradient[index]) < 1e-12


def test_expanded_to_scalars_sympy_agrees():
    """Two units, two steps, batch 1: every entry a symbol, differentiated by SymPy."""
    cell, size = gru("update", "before"), Sizes(2, 1, {"I": 2, "H": 2})
    point = draw(cell, size, seed=9)
    symbols = {n: np.vectorize(lambda *_: sp.Dummy(real=True))(np.zeros(v.shape)) for n, v in point.items()}
    states = _scalar_states(symbols)
    weights = np.array([[0.3, -1.1], [0.7, 0.2]])
    loss = sum(
        w * h for row, w_row in zip(states, weights, strict=True) for h, w in zip(row, w_row, strict=True)
    )
    at = {s: sp.Float(v) for n in point for s, v in zip(symbols[n].flat, point[n].flat, strict=True)}
    gradients = Differentiable(cell).vjp(point, {"h_new": weights[:, None, :]})
    for seed, (name, gradient) in enumerate(gradients.items()):
        index = np.random.default_rng(seed).integers(gradient.size)  # one entry of each, for time
        expected = sp.diff(loss, symbols[name].ravel()[index]).xreplace(at)
        assert abs(float(expected) - gradient.ravel()[index]) < 1e-12


def _scalar_states(s):
    h, states = s["h_prev"][0], []
    for t in range(2):
        x = s["x"][t, 0]
        r, z = (
            [1 / (1 + sp.exp(-a)) for a in s[f"W_{g}"] @ x + s[f"U_{g}"] @ h + s[f"b_{g}"]]
            for g in ("r", "z")
        )
        n = [sp.tanh(a) for a in s["W_n"] @ x + s["U_n"] @ (np.array(r) * h) + s["b_n"]]
        h = np.array([(1 - zi) * hi + zi * ni for zi, hi, ni in zip(z, h, n, strict=True)])
        states.append(h)
    return states


a, u, v, w, b, m, t, o = sp.symbols("a u v w b m t o", real=True)
SAMPLE = Program(
    {a: vector("I"), w: matrix("H", "I"), b: bias("H"), m: matrix("H", "I")},
    (
        Contract(u, (Product(w, a), Product(m, a))),
        Pointwise(v, sp.tanh(u) * sigmoid(u + b) + u**2),
        Contract(t, (Product(w, v, transposed=True),)),
        Outer(o, ((v, a), (u, t))),
        Sum(sp.Symbol("s", real=True), (v, u)),
    ),
    (v, t, o, sp.Symbol("s", real=True)),
)


def _sample_values(seed):
    rng = np.random.default_rng(seed)
    shapes = {"a": (3, 2, 4), "w": (5, 4), "b": (5,), "m": (5, 4)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def _sample_function(point):
    values = evaluate(SAMPLE, point)
    return {str(o): values[str(o)] for o in SAMPLE.outputs}


def _sample_jvp(point, tangents):
    program = jvp(SAMPLE)
    values = evaluate(program, point | {f"tangent_{n}": t for n, t in tangents.items()})
    return {str(o): values[f"tangent_{o}"] for o in SAMPLE.outputs}


def _sample_vjp(point, cotangents):
    values = evaluate(vjp(SAMPLE), point | {f"d_{n}": c for n, c in cotangents.items()})
    return {name: values[f"d_{name}"] for name in point}


def test_all_four_statements_and_their_adjoints():
    point, tangents = _sample_values(0), _sample_values(1)
    outputs = _sample_function(_sample_values(2))
    assert_dot_product(lambda d: _sample_jvp(point, d), lambda c: _sample_vjp(point, c), tangents, outputs)
    assert_taylor(_sample_function, lambda d: _sample_jvp(point, d), point, tangents)


def test_the_gradient_of_a_gradient_is_a_program():
    """vjp of vjp against torch's double backward, for a step of every convention."""
    for polarity in Polarity:
        for reset in Reset:
            step = gru(polarity, reset).step
            first = vjp(forward(gru(polarity, reset)).step)
            second = vjp(first, prefix="dd_")
            point = draw(gru(polarity, reset), Sizes(3, 2, {"I": 2, "H": 3}), seed=1)
            point["h_prev"] = point["x"][..., :1] * np.ones(3)  # a sequence here: one program, all steps
            values = point | {"d_h_new": np.cos(point["h_prev"])}
            rng = np.random.default_rng(2)
            outer = {
                f"dd_{o}": rng.standard_normal(evaluate(first, values)[str(o)].shape) for o in first.outputs
            }
            found = evaluate(second, values | outer)
            expected = _double_backward(step, values, outer)
            for name, gradient in expected.items():
                assert np.abs(found[f"dd_{name}"] - gradient).max() < 1e-11, (polarity, reset, name)


def _double_backward(step, values, outer):
    tensors = {n: torch.from_numpy(v).requires_grad_() for n, v in values.items()}
    functions = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}
    for statement in step:
        if isinstance(statement, Contract):
            (term,) = statement.terms
            tensors[str(statement.target)] = tensors[str(term.vector)] @ tensors[str(term.matrix)].T
        else:
            names = sorted(statement.reads, key=str)
            function = sp.lambdify(names, statement.expression, modules=[functions])
            tensors[str(statement.target)] = function(*(tensors[str(n)] for n in names))
    inputs = [str(n) for n in step.inputs]
    first = torch.autograd.grad(
        tensors["h_new"], [tensors[n] for n in inputs], tensors["d_h_new"], create_graph=True
    )
    total = sum((g * torch.from_numpy(outer[f"dd_d_{n}"])).sum() for n, g in zip(inputs, first, strict=True))
    wanted = [*inputs, "d_h_new"]
    gradients = torch.autograd.grad(total, [tensors[n] for n in wanted])
    return {n: g.numpy() for n, g in zip(wanted, gradients, strict=True)}


@pytest.mark.parametrize(
    "wrong", [lambda d: sp.Rational(2001, 2000) * d, lambda d: -d, lambda d: d + sp.Rational(1, 1000)]
)
def test_a_planted_wrong_derivative_is_caught(forgetful, monkeypatch, wrong):
    """HIPS/autograd's test of its own checker: a slope of 2.001 for 2 has to fail."""
    cell, size = gru("keep", "after"), Sizes(4, 2, {"I": 3, "H": 4})
    right, point = Differentiable(cell), draw(cell, size, 0)
    cotangents = right.states(draw(cell, size, 2))
    derivative = Partials.derivative

    def planted(self, statement, variable):
        result = derivative(self, statement, variable)
        return wrong(result) if str(statement.target) == "candidate" else result

    clear()
    monkeypatch.setattr(Partials, "derivative", planted)
    bad = Differentiable(cell)
    with pytest.raises(AssertionError, match="dot-product test"):
        assert_dot_product(
            lambda t: right.jvp(point, t), lambda w: bad.vjp(point, w), directions(cell, size, 1), cotangents
        )
    with pytest.raises(AssertionError, match="Taylor test"):
        assert_taylor(bad.states, lambda t: bad.jvp(point, t), point, directions(cell, size, 1))


def test_an_error_in_both_modes_alike_is_caught_by_taylor_only(forgetful, monkeypatch):
    """Why there are two tests: the same wrong rule in both modes is consistent with itself."""
    cell, size = gru("keep", "before"), Sizes(3, 2, {"I": 3, "H": 4})
    point, derivative = draw(cell, size, 0), Partials.derivative
    clear()
    monkeypatch.setattr(
        Partials, "derivative", lambda self, s, v: derivative(self, s, v) * sp.Rational(1001, 1000)
    )
    bad = Differentiable(cell)
    tangents, cotangents = directions(cell, size, 1), bad.states(draw(cell, size, 2))
    assert_dot_product(lambda t: bad.jvp(point, t), lambda w: bad.vjp(point, w), tangents, cotangents)
    with pytest.raises(AssertionError, match="Taylor test"):
        assert_taylor(bad.states, lambda t: bad.jvp(point, t), point, tangents)


def test_a_wrong_adjoint_of_each_statement_is_caught():
    """Transposing the wrong way, or not at all, in the program that vjp wrote."""
    adjoint = vjp(SAMPLE)
    point, tangents = _sample_values(0), _sample_values(1)
    outputs = _sample_function(_sample_values(2))
    for position, statement in enumerate(adjoint.statements):
        if not isinstance(statement, Outer) or len(statement.terms) < 2 or statement.target == o:
            continue
        wrong = replace(statement, terms=statement.terms[:1])
        program = Program(
            adjoint.inputs,
            (*adjoint.statements[:position], wrong, *adjoint.statements[position + 1 :]),
            adjoint.outputs,
        )

        def bad_vjp(cotangents, program=program):
            values = evaluate(program, point | {f"d_{n}": c for n, c in cotangents.items()})
            return {name: values[f"d_{name}"] for name in point}

        with pytest.raises(AssertionError, match="dot-product test"):
            assert_dot_product(lambda d: _sample_jvp(point, d), bad_vjp, tangents, outputs)


def test_what_has_no_slope_gets_no_cotangent():
    """A value that feeds step alone does not move the output."""
    builder = CellBuilder("stepped")
    h, b = builder.state("h", "H"), builder.bias("b", "H")
    builder.update(h, step(b + h) * tanh(h))
    cell = builder.build()
    program = vjp(cell.step)
    assert cotangent(b) not in program.outputs
    assert cotangent(h) in program.outputs
    written = {s.target for s in jvp(cell.step)}
    assert tangent(cell.step.statements[0].target) not in written
