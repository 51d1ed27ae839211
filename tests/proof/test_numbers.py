"""The theorems in numbers, from equations typed here once more, with complex-step gradients."""

import numpy as np
import pytest

STEPS, BATCH, INPUT, HIDDEN = 3, 3, 4, 2
MIRRORED = ("W_z", "U_z", "b_z")
RESETS = ("before", "after", "whole")


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def states(p, x, h, polarity, reset):
    collected = []
    for x_t in x:
        r = sigmoid(x_t @ p["W_r"].T + p["b_r"] + h @ p["U_r"].T)
        z = sigmoid(x_t @ p["W_z"].T + p["b_z"] + h @ p["U_z"].T)
        from_x = x_t @ p["W_n"].T + p["b_n"]
        if reset == "before":
            n = np.tanh(from_x + (r * h) @ p["U_n"].T)
        elif reset == "after":
            n = np.tanh(from_x + r * (h @ p["U_n"].T + p["c_n"]))
        else:
            n = np.tanh(r * (from_x + h @ p["U_n"].T))
        h = z * h + (1 - z) * n if polarity == "keep" else (1 - z) * h + z * n
        collected.append(h)
    return np.array(collected)


def parameters(random):
    shapes = dict.fromkeys(("W_r", "W_z", "W_n"), (HIDDEN, INPUT))
    shapes |= dict.fromkeys(("U_r", "U_z", "U_n"), (HIDDEN, HIDDEN))
    shapes |= dict.fromkeys(("b_r", "b_z", "b_n", "c_n"), (HIDDEN,))
    return {name: random.normal(size=shape) for name, shape in shapes.items()}


def mirror(p):
    return {name: -value if name in MIRRORED else value.copy() for name, value in p.items()}


@pytest.fixture
def problem():
    random = np.random.default_rng(1)
    x, h_0, target = (
        random.normal(size=shape)
        for shape in ((STEPS, BATCH, INPUT), (BATCH, HIDDEN), (STEPS, BATCH, HIDDEN))
    )
    return parameters(random), x, h_0, target


def loss(p, x, h_0, target, polarity, reset):
    return ((states(p, x, h_0, polarity, reset) - target) ** 2).sum()


def gradients(p, x, h_0, target, polarity, reset, step=1e-30):
    """∂L/∂θ = Im L(θ + i·step)/step, exact to rounding: no difference is taken."""
    result = {}
    for name, value in p.items():
        result[name] = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            moved = value.astype(complex)
            moved[index] += 1j * step
            result[name][index] = loss(p | {name: moved}, x, h_0, target, polarity, reset).imag / step
    return result


def adamw(p, g, m, v, t, rate=0.05, decay=0.01, beta_1=0.9, beta_2=0.99, epsilon=1e-8):
    for name in p:
        m[name] = beta_1 * m[name] + (1 - beta_1) * g[name]
        v[name] = beta_2 * v[name] + (1 - beta_2) * g[name] ** 2
        ahead = m[name] / (1 - beta_1**t) / (np.sqrt(v[name] / (1 - beta_2**t)) + epsilon)
        p[name] = p[name] - rate * decay * p[name] - rate * ahead


def train(p, data, polarity, steps=4):
    m, v, losses = {n: 0 * a for n, a in p.items()}, {n: 0 * a for n, a in p.items()}, []
    for t in range(1, steps + 1):
        losses.append(loss(p, *data, polarity, "after"))
        adamw(p, gradients(p, *data, polarity, "after"), m, v, t)
    return p, losses


@pytest.mark.parametrize("reset", RESETS)
def test_keep_is_update(problem, reset):
    p, x, h_0, _ = problem
    keep = states(p, x, h_0, "keep", reset)
    assert np.abs(keep - states(mirror(p), x, h_0, "update", reset)).max() < 1e-13
    assert np.abs(keep - states(p, x, h_0, "update", reset)).max() > 1e-2, "without the change of sign"


@pytest.mark.parametrize("reset", RESETS)
def test_gradients_mirror(problem, reset):
    p, *data = problem
    keep = gradients(p, *data, "keep", reset)
    update = gradients(mirror(p), *data, "update", reset)
    for name, expected in mirror(keep).items():
        assert np.abs(update[name] - expected).max() < 1e-11, name
        if name != "c_n" or reset == "after":
            assert np.abs(expected).max() > 1e-4, f"d_{name} is zero, so its sign was not tested"


def test_training_mirrors(problem):
    p, *data = problem
    keep, losses = train(mirror(mirror(p)), data, "keep")
    update, mirrored_losses = train(mirror(p), data, "update")
    for name, expected in mirror(keep).items():
        assert np.abs(update[name] - expected).max() < 1e-9, name
        assert np.abs(expected - mirror(p)[name]).max() > 1e-2, f"{name} was not trained"
    assert np.allclose(losses, mirrored_losses, rtol=1e-11, atol=0)


def test_placements_differ_but_for_blind_inputs(problem):
    p, x, h_0, _ = problem
    zero_bias = p | {"c_n": np.zeros(HIDDEN)}
    diagonal = zero_bias | {"U_n": np.diag(np.diag(p["U_n"]))}

    def difference(p, x, h_0):
        return np.abs(states(p, x, h_0, "keep", "before") - states(p, x, h_0, "keep", "after")).max()

    assert difference(zero_bias, x, h_0) > 1e-2
    assert difference(diagonal, x, h_0) < 1e-14
    assert difference(diagonal | {"c_n": p["c_n"]}, x, h_0) > 1e-2
    assert difference(zero_bias, x[:1], 0 * h_0) < 1e-14
    assert difference(zero_bias, x[:2], 0 * h_0) > 1e-3
    assert difference(p, x[:1], 0 * h_0) > 1e-2
