"""Writes data/third_party.json: states that other people's code computes, to compare the references with.

    pip install flax==0.12.8 jax==0.10.2 keras==3.15.1
    pip install --no-deps torchrecurrent==0.2.5 minGRU-pytorch==0.2.1
    KERAS_BACKEND=jax python tests/testing/third_party.py

Each entry has the values that went in, with two decimals, and the states that came out. Where a library has
more parameters than the cell, the others are zero or the identity.
"""

import json
from importlib.metadata import version
from pathlib import Path

import jax
import keras
import torch
import torchrecurrent
from flax import linen
from minGRU_pytorch.minGRU import minGRU

from symgru.testing.references import REFERENCES, draw

jax.config.update("jax_enable_x64", True)
torch.set_default_dtype(torch.float64)
FILE = Path(__file__).parent / "data" / "third_party.json"
SIZES = {"steps": 2, "batch": 2, "axes": {"I": 3, "H": 2}}


def stacked(v, names):
    """The named tensors on top of each other."""
    return torch.cat([v[name] for name in names.split(" ")])


def tensor(array):
    """A tensor of what JAX computed."""
    return torch.tensor(jax.device_get(array))


def over_time(v, cell, *states):
    """cell(x, *states) at each step; it returns the new states."""
    collected = []
    for x in v["x"]:
        states = cell(x, *states)
        collected.append(states)
    return [torch.stack(list(state)) for state in zip(*collected, strict=True)]


def flax_cell(module, v, names, *states):
    """A Flax cell: the carry is one state, or (c, h)."""
    parameters = {}
    for path, name in names.items():
        layer, kind = path.split(".")
        parameters.setdefault(layer, {})[kind] = (v[name].T if kind == "kernel" else v[name]).numpy()

    def step(x, *old):
        carry = tuple(s.numpy() for s in old) if len(old) > 1 else old[0].numpy()
        new, _ = module.apply({"params": parameters}, carry, x.numpy())
        return [tensor(s) for s in (new if len(old) > 1 else [new])]

    return over_time(v, step, *states)


def keras_gru(v, reset_after):
    """Keras' GRU cell: gates in the order z, r, n, matrices transposed."""
    cell = keras.layers.GRUCell(v["h_prev"].shape[-1], reset_after=reset_after, dtype="float64")
    cell.build((None, v["x"].shape[-1]))
    biases = stacked(v, "b_z b_r b_n")
    if reset_after:
        biases = torch.stack([biases, stacked(v, "c_z c_r c_n")])
    cell.set_weights([w.numpy() for w in (stacked(v, "W_z W_r W_n").T, stacked(v, "U_z U_r U_n").T, biases)])
    return over_time(v, lambda x, h: [tensor(cell(x.numpy(), [h.numpy()])[0])], v["h_prev"])


def torchrecurrent_cell(kind, v, **weights):
    """A cell of torchrecurrent with the given weights; what is not given is zero."""
    sizes = {"input_size": v["x"].shape[-1], "hidden_size": v["h_prev"].shape[-1]}
    cell = getattr(torchrecurrent, kind)(**sizes, dtype=torch.float64)
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            parameter.copy_(weights.get(name, torch.zeros_like(parameter)))
        if "c_prev" in v:
            return over_time(v, lambda x, *s: list(cell(x, s)), v["h_prev"], v["c_prev"])
        return over_time(v, lambda x, h: [cell(x, h)], v["h_prev"])


def mingru_log(v):
    """The parallel branch, in logarithms; its entering state is positive."""
    layer = minGRU(3, expansion_factor=2 / 3, proj_out=False)
    with torch.no_grad():
        layer.to_hidden_and_gate.weight.copy_(stacked(v, "W_n W_z"))
        return [layer(v["x"].transpose(0, 1), v["h_prev"][:, None]).transpose(0, 1)]


def mut_with_identity(kind, v):
    """MUT1 and MUT2 have a matrix in torchrecurrent where the paper has none: the identity."""
    eye, none = torch.eye(2), torch.zeros(2)
    if kind == "MUT1Cell":
        return torchrecurrent_cell(
            kind,
            v,
            weight_ih=torch.cat([v["W_z"], v["W_r"], eye]),
            weight_hh=stacked(v, "U_r U_n"),
            bias_ih=torch.cat([v["b_z"], v["b_r"], none]),
            bias_hh=torch.cat([none, v["b_n"]]),
        )
    return torchrecurrent_cell(
        kind,
        v,
        weight_ih=torch.cat([v["W_z"], eye, v["W_n"]]),
        weight_hh=stacked(v, "U_z U_r U_n"),
        bias_ih=stacked(v, "b_z b_r b_n"),
    )


def usual(kind, gates):
    """A torchrecurrent cell whose gates all have a W, a U and a b."""

    def compute(v):
        names = {letter: " ".join(f"{letter}_{gate}" for gate in gates) for letter in "WUb"}
        peepholes = {"weight_ph": torch.cat([v["p_i"], v["p_f"], v["p_o"]])} if "p_i" in v else {}
        return torchrecurrent_cell(
            kind,
            v,
            weight_ih=stacked(v, names["W"]),
            weight_hh=stacked(v, names["U"]),
            bias_ih=stacked(v, names["b"]),
            **peepholes,
        )

    return compute


def lightru(v):
    biases = torch.cat([torch.zeros(2), v["b_f"]])
    return torchrecurrent_cell(
        "LightRUCell", v, weight_ih=stacked(v, "W_n W_f"), weight_hh=v["U_f"], bias_ih=biases
    )


def flax_names(gates, recurrent_bias):
    """Flax's names of layers (input 'i' + gate, recurrent 'h' + gate) and ours."""
    names = {}
    for gate in gates:
        names |= {
            f"i{gate}.kernel": f"W_{gate}",
            f"i{gate}.bias": f"b_{gate}",
            f"h{gate}.kernel": f"U_{gate}",
        }
    return names | {f"h{gate}.bias": f"c_{gate}" for gate in recurrent_bias}


def flax_lstm(v):
    names = {}
    for gate in "ifgo":
        names |= {
            f"i{gate}.kernel": f"W_{gate}",
            f"h{gate}.kernel": f"U_{gate}",
            f"h{gate}.bias": f"b_{gate}",
        }
    return flax_cell(linen.LSTMCell(2), v, names, v["c_prev"], v["h_prev"])[::-1]


def flax_rnn(v):
    names = {"i.kernel": "W_n", "i.bias": "b_n", "h.kernel": "U_n"}
    return flax_cell(linen.SimpleCell(2), v, names, v["h_prev"])


CASES = {
    "gru_keep_after": ("flax", lambda v: flax_cell(linen.GRUCell(2), v, flax_names("rzn", "n"), v["h_prev"])),
    "mgu_after": ("flax", lambda v: flax_cell(linen.MGUCell(2), v, flax_names("fn", "n"), v["h_prev"])),
    "rnn": ("flax", flax_rnn),
    "lstm": ("flax", flax_lstm),
    "gru_keep_before": ("keras", lambda v: keras_gru(v, reset_after=False)),
    "gru_keep_after_6h": ("keras", lambda v: keras_gru(v, reset_after=True)),
    "mgu": ("torchrecurrent", usual("MGUCell", "fn")),
    "ligru": ("torchrecurrent", usual("LiGRUCell", "zn")),
    "ugrnn": ("torchrecurrent", usual("UGRNNCell", "nz")),
    "lightru": ("torchrecurrent", lightru),
    "mut1": ("torchrecurrent", lambda v: mut_with_identity("MUT1Cell", v)),
    "mut2": ("torchrecurrent", lambda v: mut_with_identity("MUT2Cell", v)),
    "mut3": ("torchrecurrent", usual("MUT3Cell", "zrn")),
    "lstm_peephole": ("torchrecurrent", usual("PeepholeLSTMCell", "ifgo")),
    "mingru_log": ("minGRU-pytorch", mingru_log),
}


def main():
    entries = {}
    for seed, (name, (library, compute)) in enumerate(CASES.items()):
        reference = REFERENCES[name]
        values = {k: v.mul(100).round() / 100 for k, v in draw(reference, **SIZES, seed=seed).items()}
        if name == "mingru_log":
            values["h_prev"] = values["h_prev"].abs()
        states = dict(zip((leaving for _, leaving in reference.states), compute(values), strict=True))
        entries[name] = {
            "computed by": f"{library} {version(library)}",
            "inputs": {k: v.tolist() for k, v in values.items()},
            "states": {k: v.tolist() for k, v in states.items()},
        }
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
    FILE.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
