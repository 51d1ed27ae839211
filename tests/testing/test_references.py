"""The references against other people's code, against each other, and against their limits."""

import ast
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from symgru.testing.reference import textbook_gru
from symgru.testing.references import REFERENCES, draw, run
from symgru.testing.references.model import register

FOLDER = Path(__file__).parents[2] / "symgru" / "testing" / "references"
# Written by third_party.py, which names the versions.
THIRD_PARTY = json.loads((Path(__file__).parent / "data" / "third_party.json").read_text(encoding="utf-8"))
#: Two orders of summation in float64, on values of size 1.
EXACT = 1e-13
# Keras multiplies matrices in float32 whatever the dtype of its cell.
KERAS = 1e-7
AXES = {"I": 4, "H": 5}
POLARITIES = ("keep", "update")
RESETS = ("before", "after", "whole")
GRUS = list(itertools.product(POLARITIES, RESETS))

sizes = st.fixed_dictionaries(
    {
        "steps": st.integers(1, 4),
        "batch": st.integers(1, 3),
        "axes": st.fixed_dictionaries({"I": st.integers(1, 4), "H": st.integers(2, 5)}),
        "seed": st.integers(0, 2**16),
    }
)


def drawn(name, seed=0, axes=AXES, masks=()):
    return draw(REFERENCES[name], steps=4, batch=3, axes=axes, seed=seed, masks=masks)


def states(name, values, **options):
    """h_new [T, B, H] of the reference, from what it needs of the values."""
    wanted = set(REFERENCES[name].shapes) | {
        k for k in values if "restart" in k or "zoneout" in k or k == "valid"
    }
    return run(REFERENCES[name], {k: v for k, v in values.items() if k in wanted}, **options)["h_new"]


def distance(a, b):
    return float((a - b).detach().abs().max())


def stacked(values, letter, gates):
    return torch.cat([values[f"{letter}_{gate}"] for gate in gates])


def test_the_cells_of_the_issue_are_all_there():
    minimal = {"mgu", "mgu_after", "mingru", "mingru_log", "ligru", "ugrnn", "lightru"}
    variants = {
        "augru_paper",
        "augru_code",
        "gru1",
        "gru2",
        "gru3",
        "mut1",
        "mut2",
        "mut3",
        "peephole_gru",
        "gru_d",
    }
    others = {"dreamer_gru", "haste_layernorm_gru", "rnn", "lstm", "lstm_peephole"}
    grus = {f"gru_{p}_{r}" for p, r in GRUS}
    counts = {f"{gru}_{n}h" for gru in grus for n in (0, 6)} | {f"gru_{p}_after_3h" for p in POLARITIES}
    assert set(REFERENCES) == minimal | variants | others | grus | counts
    assert all(reference.source for reference in REFERENCES.values())


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="mgu is taken by Zhou"):
        register("mgu", "another", {})(REFERENCES["mgu"].step)


# Against other people's code.


@pytest.mark.parametrize("name", THIRD_PARTY)
def test_the_states_that_a_library_computed(name):
    entry = THIRD_PARTY[name]
    inputs = {k: torch.tensor(v, dtype=torch.float64) for k, v in entry["inputs"].items()}
    computed = run(REFERENCES[name], inputs)
    tolerance = KERAS if entry["computed by"].startswith("keras") else EXACT
    assert set(computed) == set(entry["states"])
    for state, expected in entry["states"].items():
        assert distance(computed[state], torch.tensor(expected, dtype=torch.float64)) < tolerance, state


@settings(max_examples=15, deadline=None)
@given(sizes)
def test_the_rnn_is_torchs(size):
    values = draw(REFERENCES["rnn"], **size)
    cell = torch.nn.RNNCell(size["axes"]["I"], size["axes"]["H"], dtype=torch.float64)
    weights = {"weight_ih": values["W_n"], "weight_hh": values["U_n"], "bias_ih": values["b_n"] - 1}
    cell.load_state_dict({**weights, "bias_hh": torch.ones_like(values["b_n"])})
    h, collected = values["h_prev"], []
    for x in values["x"]:
        h = cell(x, h)
        collected.append(h)
    assert distance(states("rnn", values), torch.stack(collected)) < EXACT


@settings(max_examples=15, deadline=None)
@given(sizes)
def test_the_lstm_is_torchs(size):
    values = draw(REFERENCES["lstm"], **size)
    cell = torch.nn.LSTMCell(size["axes"]["I"], size["axes"]["H"], dtype=torch.float64)
    biases = stacked(values, "b", "ifgo")
    cell.load_state_dict(
        {
            "weight_ih": stacked(values, "W", "ifgo"),
            "weight_hh": stacked(values, "U", "ifgo"),
            "bias_ih": biases / 4,
            "bias_hh": 3 * biases / 4,
        }
    )
    state = values["h_prev"], values["c_prev"]
    for t, x in enumerate(values["x"]):
        state = cell(x, state)
        computed = run(REFERENCES["lstm"], values)
        assert distance(computed["h_new"][t], state[0]) < EXACT
        assert distance(computed["c_new"][t], state[1]) < EXACT


@settings(max_examples=15, deadline=None)
@given(sizes)
def test_the_gru_with_6h_biases_and_lengths_is_torchs(size):
    name = "gru_keep_after_6h"
    values = draw(REFERENCES[name], **size, masks=("lengths",))
    layer = torch.nn.GRU(size["axes"]["I"], size["axes"]["H"], dtype=torch.float64)
    tensors = zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), "WUbc", strict=True)
    layer.load_state_dict({name: stacked(values, letter, "rzn") for name, letter in tensors})
    lengths = values["valid"][..., 0].sum(0)
    packed = pack_padded_sequence(values["x"], lengths, enforce_sorted=False)
    output, last = layer(packed, values["h_prev"][None])
    padded, _ = pad_packed_sequence(output, total_length=size["steps"])
    computed = states(name, values)
    assert distance(computed * values["valid"], padded) < EXACT
    assert distance(computed[-1], last[0]) < EXACT


@pytest.mark.parametrize(("polarity", "reset"), GRUS)
def test_the_grus_are_the_textbooks(polarity, reset):
    values = drawn(f"gru_{polarity}_{reset}")
    expected = textbook_gru({k: v.numpy() for k, v in values.items()}, polarity, reset)
    assert np.abs(states(f"gru_{polarity}_{reset}", values).numpy() - expected).max() < EXACT


# Against each other: what is told apart, and what is the same in a limit.

ALIKE = [
    (a, b) for a, b in itertools.combinations(REFERENCES, 2) if REFERENCES[a].shapes == REFERENCES[b].shapes
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_cells_with_the_same_parameters_differ(one, other):
    values = drawn(one)
    assert distance(states(one, values), states(other, values)) > 1e-3


def test_the_pairs_that_are_confused_are_among_those_compared():
    pairs = {frozenset(pair) for pair in ALIKE}
    for pair in (
        ("augru_paper", "augru_code"),
        ("mingru", "mingru_log"),
        ("mut3", "gru_update_before"),
        ("gru_keep_before", "gru_update_before"),
        ("gru_keep_after", "gru_update_after"),
    ):
        assert frozenset(pair) in pairs, pair


def test_the_two_mgus_differ_in_more_than_polarity():
    values = drawn("mgu_after")
    values["c_n"] = torch.zeros_like(values["c_n"])
    flipped = values | {k: -values[k] for k in ("W_f", "U_f", "b_f")}
    assert distance(states("mgu", values), states("mgu_after", values)) > 1e-2
    assert distance(states("mgu", values), states("mgu_after", flipped)) > 1e-2


def test_the_three_mutants_differ():
    axes = {"I": 5, "H": 5}
    values = drawn("mut3", axes=axes)
    pairs = itertools.combinations(("mut1", "mut2", "mut3", "gru_update_before"), 2)
    for one, other in pairs:
        assert distance(states(one, values), states(other, values)) > 1e-2, (one, other)


@pytest.mark.parametrize("reset", RESETS)
def test_the_polarities_are_one_model_with_the_update_gate_negated(reset):
    values = drawn(f"gru_keep_{reset}")
    negated = values | {k: -values[k] for k in ("W_z", "U_z", "b_z")}
    assert distance(states(f"gru_keep_{reset}", values), states(f"gru_update_{reset}", negated)) < EXACT


@pytest.mark.parametrize(("polarity", "reset"), GRUS)
def test_bias_counts(polarity, reset):
    name = f"gru_{polarity}_{reset}"
    values = drawn(f"{name}_6h")
    expected = states(f"{name}_6h", values)
    merged = values | {f"b_{gate}": values[f"b_{gate}"] + values[f"c_{gate}"] for gate in "rzn"}
    if reset == "after":
        assert (
            distance(states(f"{name}_3h", merged), expected) > 1e-3
        )  # r multiplies c_n, so it does not merge
        merged["b_n"] = values["b_n"]
        inside_is_zero = values | {"c_n": torch.zeros_like(values["c_n"])}
        assert distance(states(f"{name}_3h", values), states(name, inside_is_zero)) < EXACT
    assert distance(states(name, merged), expected) < EXACT
    zeros = {k: torch.zeros_like(v) for k, v in values.items() if k[:2] in {"b_", "c_"}}
    assert distance(states(f"{name}_0h", values), states(f"{name}_6h", values | zeros)) < EXACT


def test_attention_zero_and_one():
    values = drawn("augru_paper")
    zero, one = (values | {"attention": torch.full_like(values["attention"], a)} for a in (0.0, 1.0))
    without_c = values | {"c_n": torch.zeros_like(values["b_n"])}
    assert distance(states("augru_paper", zero), values["h_prev"].expand(4, -1, -1)) < EXACT
    assert distance(states("augru_paper", one), states("gru_update_after", without_c)) < EXACT
    assert distance(states("augru_code", zero), states("gru_keep_before", values)) < EXACT
    nothing_kept = values | {"b_z": torch.full_like(values["b_z"], -1e3)}
    assert distance(states("augru_code", one), states("gru_keep_before", nothing_kept)) < EXACT


def test_gates_of_dey_and_salem_are_those_of_the_gru_with_zeros():
    values = drawn("gru_update_before")
    blind = values | {k: torch.zeros_like(values[k]) for k in ("W_r", "W_z")}
    state_alone = blind | {k: torch.zeros_like(values[k]) for k in ("b_r", "b_z")}
    bias_alone = blind | {k: torch.zeros_like(values[k]) for k in ("U_r", "U_z")}
    for name, limit in (("gru1", blind), ("gru2", state_alone), ("gru3", bias_alone)):
        assert distance(states(name, values), states("gru_update_before", limit)) < EXACT, name


def test_gru_d_with_everything_observed_and_no_decay_is_a_gru():
    values = drawn("gru_d")
    values["observed"] = torch.ones_like(values["observed"])
    for name in ("w_gamma_x", "b_gamma_x", "W_gamma_h", "b_gamma_h"):
        values[name] = torch.zeros_like(values[name])
    shifted = values | {f"b_{g}": values[f"b_{g}"] + values[f"V_{g}"].sum(1) for g in "rzn"}
    assert distance(states("gru_d", values), states("gru_update_before", shifted)) < EXACT
    assert distance(states("gru_d", values | {"x_last": values["x"], "x_mean": values["x_mean"] + 1}),
                    states("gru_d", values)) < EXACT  # fmt: skip


def test_gru_d_long_unobserved_sees_the_mean():
    values = drawn("gru_d")
    values |= {
        "observed": torch.zeros_like(values["observed"]),
        "delta": torch.full_like(values["delta"], 1e3),
    }
    values |= {"w_gamma_x": values["w_gamma_x"].abs(), "W_gamma_h": values["W_gamma_h"].abs()}
    other = values | {"x": values["x"] + 1, "x_last": values["x_last"] + 1, "h_prev": values["h_prev"] + 1}
    assert distance(states("gru_d", values), states("gru_d", other)) < EXACT
    assert (
        distance(states("gru_d", values), states("gru_d", values | {"x_mean": values["x_mean"] + 1})) > 1e-2
    )


def test_peepholes_of_zero():
    values = drawn("lstm_peephole")
    zeros = {k: torch.zeros_like(values[k]) for k in ("p_i", "p_f", "p_o")}
    assert distance(states("lstm_peephole", values | zeros), states("lstm", values)) < EXACT
    values = drawn("peephole_gru")
    zeros = {k: torch.zeros_like(values[k]) for k in ("P_r", "P_z", "P_n")}
    assert distance(states("peephole_gru", values | zeros), states("gru_keep_after", values)) < EXACT


@pytest.mark.parametrize("name", ["dreamer_gru", "haste_layernorm_gru"])
def test_a_norm_is_over_all_gates_at_once(name):
    values = drawn(name)
    row = 0.5 * values["U_r"][:1]
    moved = {f"U_{gate}": values[f"U_{gate}"] + row for gate in "rzn"}
    assert distance(states(name, values | moved), states(name, values)) < 1e-12
    assert distance(states(name, values | {"U_r": moved["U_r"]}), states(name, values)) > 1e-3


def logistic(a):
    return 1 / (1 + np.exp(-a))


def scalars(**values):
    """One unit, one step, one example: a number for each name, in the shapes of `run`."""
    leading = {"x": 3, "h_prev": 2}
    return {
        k: torch.full((1,) * leading.get(k, 2 if k[0] in "WU" else 1), v, dtype=torch.float64)
        for k, v in values.items()
    }


def test_the_norm_of_dreamer_by_hand():
    """Arguments 0.02, 0, -0.02 before the norm: mean 0, variance 8e-4/3, so that epsilon counts."""
    values = scalars(x=0.01, h_prev=0.02, W_r=1.0, W_n=0.0, W_z=-1.0, U_r=0.5, U_n=0.0, U_z=-0.5)
    values |= scalars(gain_r=0.5, gain_n=2.0, gain_z=3.0, b_r=0.1, b_n=0.2, b_z=0.3)
    normed = 0.02 / np.sqrt(8e-4 / 3 + 1e-3)
    z = logistic(-3 * normed + 0.3 - 1)
    n = np.tanh(logistic(0.5 * normed + 0.1) * 0.2)
    assert states("dreamer_gru", values).item() == pytest.approx(z * n + (1 - z) * 0.02, abs=1e-15)


def test_the_norms_of_haste_by_hand():
    """Each norm sees a, 0, -a: of the input a = 0.003 in the order z, r, n; of the state 0.02 in n, r, z."""
    values = scalars(x=1.0, h_prev=0.02, W_z=0.003, W_r=0.0, W_n=-0.003, U_z=-1.0, U_r=0.0, U_n=1.0)
    values |= scalars(gain_W_z=0.5, gain_W_r=2.0, gain_W_n=3.0, gain_U_z=0.7, gain_U_r=1.1, gain_U_n=1.3)
    values |= scalars(b_z=0.1, b_r=0.2, b_n=0.3, c_z=0.4, c_r=0.5, c_n=0.6)
    x, h = (a / np.sqrt(2 * a**2 / 3 + 1e-5) for a in (0.003, 0.02))
    z, r = logistic(0.5 * x + 0.1 - 0.7 * h + 0.4), logistic(0.7)
    n = np.tanh(-3 * x + 0.3 + r * (1.3 * h + 0.6))
    assert states("haste_layernorm_gru", values).item() == pytest.approx(z * 0.02 + (1 - z) * n, abs=1e-14)


def test_numbers_by_hand():
    """One unit, one step, arguments of the sigmoid that are ln 3 or 0: gates 3/4 and 1/2."""
    ln3 = float(np.log(3))
    values = scalars(x=1.0, h_prev=2.0, W_z=ln3, W_n=-ln3, U_z=0.0, U_n=1.0, b_z=0.0, b_n=0.0)
    assert states("mingru", values).item() == pytest.approx(0.25 * 2 - 0.75 * ln3, abs=1e-15)
    assert states("mingru_log", values).item() == pytest.approx(0.25 * 2 + 0.75 * 0.25, abs=1e-15)
    assert states("ligru", values).item() == pytest.approx(0.75 * 2 + 0.25 * (2 - ln3), abs=1e-15)


# What is drawn, and that the references are on their own.


def test_what_is_drawn_is_not_zero_and_not_alike():
    for name, reference in REFERENCES.items():
        values = drawn(name)
        assert list(values) == list(reference.shapes)
        flat = torch.cat([v.flatten() for k, v in values.items() if k not in {"observed", "attention"}])
        assert len(set(flat.tolist())) == flat.numel(), name
        assert flat.abs().min() > 0, name
    attention = drawn("augru_code")["attention"]
    assert ((attention > 0) & (attention < 1)).all()
    assert (attention == attention[..., :1]).all()
    assert set(drawn("gru_d")["observed"].flatten().tolist()) == {0.0, 1.0}
    with pytest.raises(ValueError, match="masks are lengths, resets, zoneout, got"):
        drawn("mgu", masks=("length",))


def imported(source):
    """Names of modules that the source imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def not_its_own(source):
    """Imports of symgru from outside the references, and relative ones."""
    own = "symgru.testing.references"
    return [
        n
        for n in imported(source)
        if n.startswith((".", "symgru")) and n != own and not n.startswith(f"{own}.")
    ]


def test_the_references_import_nothing_of_symgru():
    files = sorted(FOLDER.glob("*.py"))
    assert len(files) > 5
    assert {f.name: not_its_own(f.read_text(encoding="utf-8")) for f in files} == {f.name: [] for f in files}


@pytest.mark.parametrize(
    "source", ["import symgru.cells", "from symgru import GRU", "from ..oracle import x"]
)
def test_a_planted_import_is_seen(source):
    assert not_its_own(source)
