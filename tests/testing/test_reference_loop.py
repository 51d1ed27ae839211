"""References over time: lengths, restarts, zoneout, what is refused, and derivatives of the whole."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from symgru.testing.references import REFERENCES, draw, run
from symgru.testing.references.draw import MASKS

#: Two orders of summation in float64, on values of size 1.
EXACT = 1e-13


def drawn(name, seed=0, masks=()):
    return draw(REFERENCES[name], steps=4, batch=3, axes={"I": 4, "H": 5}, seed=seed, masks=masks)


def states(name, values, **options):
    return run(REFERENCES[name], values, **options)["h_new"]


def distance(a, b):
    return float((a - b).detach().abs().max())


@pytest.mark.parametrize("name", REFERENCES)
def test_beyond_its_end_a_sequence_keeps_its_state_and_sees_nothing(name):
    reference = REFERENCES[name]
    values = drawn(name, seed=1, masks=("lengths",))
    first = next(iter(reference.inputs))
    values[first].requires_grad_()
    computed = run(reference, values)
    lengths = values["valid"][..., 0].sum(0).tolist()
    assert len(set(lengths)) > 1
    (d_x,) = torch.autograd.grad(sum(s[-1].sum() for s in computed.values()), values[first])
    for b, length in enumerate(lengths):
        alone = {
            k: v[:length, b : b + 1] if k in reference.inputs else v[b : b + 1] if k.endswith("_prev") else v
            for k, v in values.items()
            if k != "valid"
        }
        for state, short in run(reference, alone).items():
            assert distance(computed[state][:length, b], short[:, 0]) < EXACT
            assert distance(computed[state][length - 1 :, b], short[-1].expand(5 - length, -1)) < EXACT
        assert d_x[length:, b].abs().sum() == 0


def test_at_a_restart_the_given_state_enters():
    values = drawn("lstm")
    given_states = {f"{s}_restart": torch.randn(4, 3, 5, dtype=torch.float64) for s in ("h_prev", "c_prev")}
    restart = torch.zeros(4, 3, 1, dtype=torch.bool)
    restart[2, 1] = True
    computed = run(REFERENCES["lstm"], values | given_states | {"restart": restart})
    plain = run(REFERENCES["lstm"], values)
    later = values | {
        "x": values["x"][2:],
        **{s: given_states[f"{s}_restart"][2] for s in ("h_prev", "c_prev")},
    }
    fresh = run(REFERENCES["lstm"], later)
    for state in ("h_new", "c_new"):
        assert distance(computed[state][:, [0, 2]], plain[state][:, [0, 2]]) == 0
        assert distance(computed[state][:2, 1], plain[state][:2, 1]) == 0
        assert distance(computed[state][2:, 1], fresh[state][:, 1]) == 0
        assert distance(computed[state][2:, 1], plain[state][2:, 1]) > 1e-2


def test_a_shared_restart_state_is_a_parameter():
    values = drawn("mgu", masks=("resets",))
    shared = values["h_prev_restart"][0, 0]
    one = states("mgu", values | {"h_prev_restart": shared})
    assert distance(one, states("mgu", values | {"h_prev_restart": shared.expand(4, 3, -1)})) == 0


def test_zoned_out_units_keep_the_state_that_entered():
    values = drawn("ugrnn", masks=("resets", "zoneout"))
    values["restart"][1] = True
    computed, mask = states("ugrnn", values), values["zoneout_h_new"]
    assert (computed[1] == values["h_prev_restart"][1])[mask[1]].all()
    assert not (computed[1] == values["h_prev_restart"][1])[~mask[1]].any()
    everywhere = values | {"zoneout_h_new": torch.ones_like(mask)}
    assert distance(states("ugrnn", everywhere)[1:2], values["h_prev_restart"][1:2]) == 0


def test_zoneout_at_inference_is_the_mean_of_the_masks():
    values = drawn("gru_keep_after")
    step = {k: v[:1] if k == "x" else v for k, v in values.items()}
    expected = 0.3 * values["h_prev"] + 0.7 * states("gru_keep_after", step)[0]
    assert distance(states("gru_keep_after", step, zoneout_rate=0.3)[0], expected) < EXACT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b_q": torch.zeros(5)}, r"unknown inputs: \['b_q'\]"),
        ({"b_f": None}, r"missing inputs: \['b_f'\]"),
        ({"restart": torch.ones(4, 3, 1)}, r"missing inputs: \['h_prev_restart'\]"),
        ({"b_f": torch.zeros(4)}, r"b_f is \[5\], got \[4\]"),
        ({"U_n": torch.zeros(5, 4)}, r"U_n is \[5, 5\], got \[5, 4\]"),
        ({"x": torch.zeros(0, 3, 4)}, r"T at least 1, got \[0, 3, 4\]"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    values = {k: v for k, v in (drawn("mgu") | change).items() if v is not None}
    with pytest.raises(ValueError, match=message):
        run(REFERENCES["mgu"], values)


# Derivatives.


@pytest.mark.parametrize("name", REFERENCES)
def test_autograd_differentiates_twice_with_every_mask(name):
    reference = REFERENCES[name]
    values = draw(reference, steps=2, batch=2, axes={"I": 3, "H": 2}, seed=5, masks=MASKS)
    names = [k for k, v in values.items() if v.is_floating_point()]

    def function(*tensors):
        return tuple(run(reference, values | dict(zip(names, tensors, strict=True))).values())

    point = tuple(values[k].requires_grad_() for k in names)
    assert gradcheck(function, point, fast_mode=True)
    assert gradgradcheck(function, point, fast_mode=True)


@pytest.mark.parametrize("name", REFERENCES)
def test_every_input_matters(name):
    reference = REFERENCES[name]
    values = drawn(name, seed=2)
    for value in values.values():
        value.requires_grad_()
    total = sum((s**2).sum() for s in run(reference, values).values())
    gradients = torch.autograd.grad(total, list(values.values()))
    idle = [k for k, d in zip(values, gradients, strict=True) if d.abs().max() < 1e-6]
    assert not idle
