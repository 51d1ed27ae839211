"""GRUs with other gates or further inputs: attention, context, missing values, and gates that see less."""

from __future__ import annotations

import torch

from symgru.testing.references.model import Tensors, per_gate, register

_THREE_GATES = per_gate("r z n", W="HI", U="HH", b="H")
_ATTENTION = {"x": "I", "attention": "H"}  # one number a step and example in the sources: here equal entries


@register(
    "augru_paper",
    "Zhou et al. 2018, arXiv:1809.03672, sections Interest Extractor Layer (GRU) and AUGRU",
    _THREE_GATES,
    _ATTENTION,
)
def augru_paper(v: Tensors) -> Tensors:
    """GRU with attentional update gate as published: reset after, and attention opens the update gate."""
    x, h = v["x"], v["h_prev"]
    u = torch.sigmoid(x @ v["W_z"].T + h @ v["U_z"].T + v["b_z"])
    r = torch.sigmoid(x @ v["W_r"].T + h @ v["U_r"].T + v["b_r"])
    n = torch.tanh(x @ v["W_n"].T + r * (h @ v["U_n"].T) + v["b_n"])
    u = v["attention"] * u
    return {"h_new": (1 - u) * h + u * n}


@register(
    "augru_code",
    "mouna99/dien script/utils.py VecAttGRUCell; the AUGRU of oneDNN and OpenVINO (AUGRUCell)",
    _THREE_GATES,
    _ATTENTION,
)
def augru_code(v: Tensors) -> Tensors:
    """GRU with attentional update gate as programmed: reset before, attention closes the gate that keeps."""
    x, h = v["x"], v["h_prev"]
    r = torch.sigmoid(x @ v["W_r"].T + h @ v["U_r"].T + v["b_r"])
    u = torch.sigmoid(x @ v["W_z"].T + h @ v["U_z"].T + v["b_z"])
    c = torch.tanh(x @ v["W_n"].T + (r * h) @ v["U_n"].T + v["b_n"])
    u = (1 - v["attention"]) * u
    return {"h_new": u * h + (1 - u) * c}


_DEY_SALEM = "Dey & Salem 2017, arXiv:1701.05923"
_CANDIDATE = per_gate("n", W="HI", U="HH", b="H")


def _gru_with_gates(v: Tensors, a_r: torch.Tensor, a_z: torch.Tensor) -> Tensors:
    x, h, r, z = v["x"], v["h_prev"], torch.sigmoid(a_r), torch.sigmoid(a_z)
    n = torch.tanh(x @ v["W_n"].T + (r * h) @ v["U_n"].T + v["b_n"])
    return {"h_new": (1 - z) * h + z * n}


@register("gru1", f"{_DEY_SALEM}, GRU1", per_gate("r z", U="HH", b="H") | _CANDIDATE)
def gru1(v: Tensors) -> Tensors:
    """Gates from the state and a bias."""
    h = v["h_prev"]
    return _gru_with_gates(v, h @ v["U_r"].T + v["b_r"], h @ v["U_z"].T + v["b_z"])


@register("gru2", f"{_DEY_SALEM}, GRU2", per_gate("r z", U="HH") | _CANDIDATE)
def gru2(v: Tensors) -> Tensors:
    """Gates from the state alone."""
    return _gru_with_gates(v, v["h_prev"] @ v["U_r"].T, v["h_prev"] @ v["U_z"].T)


@register("gru3", f"{_DEY_SALEM}, GRU3", per_gate("r z", b="H") | _CANDIDATE)
def gru3(v: Tensors) -> Tensors:
    """Gates from a bias alone: the same at every step."""
    return _gru_with_gates(v, v["b_r"], v["b_z"])


_JOZEFOWICZ = "Jozefowicz et al. 2015, PMLR 37, section 3.2"


@register(
    "mut1",
    f"{_JOZEFOWICZ}, MUT1; tanh(x) enters the candidate as it is, so I = H",
    {"W_z": "HH", "b_z": "H"} | per_gate("r", W="HH", U="HH", b="H") | {"U_n": "HH", "b_n": "H"},
    {"x": "H"},
)
def mut1(v: Tensors) -> Tensors:
    """First mutant: the update gate does not see the state, the candidate sees tanh(x)."""
    x, h = v["x"], v["h_prev"]
    z = torch.sigmoid(x @ v["W_z"].T + v["b_z"])
    r = torch.sigmoid(x @ v["W_r"].T + h @ v["U_r"].T + v["b_r"])
    return {"h_new": torch.tanh((r * h) @ v["U_n"].T + torch.tanh(x) + v["b_n"]) * z + h * (1 - z)}


@register(
    "mut2",
    f"{_JOZEFOWICZ}, MUT2; x enters the reset gate as it is, so I = H",
    per_gate("z", W="HH", U="HH", b="H")
    | per_gate("r", U="HH", b="H")
    | per_gate("n", W="HH", U="HH", b="H"),
    {"x": "H"},
)
def mut2(v: Tensors) -> Tensors:
    """Second mutant: the reset gate sees x without a matrix."""
    x, h = v["x"], v["h_prev"]
    z = torch.sigmoid(x @ v["W_z"].T + h @ v["U_z"].T + v["b_z"])
    r = torch.sigmoid(x + h @ v["U_r"].T + v["b_r"])
    return {"h_new": torch.tanh((r * h) @ v["U_n"].T + x @ v["W_n"].T + v["b_n"]) * z + h * (1 - z)}


@register("mut3", f"{_JOZEFOWICZ}, MUT3", _THREE_GATES)
def mut3(v: Tensors) -> Tensors:
    """Third mutant: the update gate sees tanh(h)."""
    x, h = v["x"], v["h_prev"]
    z = torch.sigmoid(x @ v["W_z"].T + torch.tanh(h) @ v["U_z"].T + v["b_z"])
    r = torch.sigmoid(x @ v["W_r"].T + h @ v["U_r"].T + v["b_r"])
    return {"h_new": torch.tanh((r * h) @ v["U_n"].T + x @ v["W_n"].T + v["b_n"]) * z + h * (1 - z)}


@register(
    "peephole_gru",
    "Maluuba/gensen models.py ConditionalGRU, commit 8e6948a; its nine biases summed to the four that count",
    per_gate("r z n", W="HI", U="HH", P="HH", b="H") | {"c_n": "H"},
    {"x": "I", "context": "H"},
)
def peephole_gru(v: Tensors) -> Tensors:
    """GRU with peepholes: a context enters both gates and the candidate."""
    x, h, context = v["x"], v["h_prev"], v["context"]
    r = torch.sigmoid(x @ v["W_r"].T + h @ v["U_r"].T + context @ v["P_r"].T + v["b_r"])
    z = torch.sigmoid(x @ v["W_z"].T + h @ v["U_z"].T + context @ v["P_z"].T + v["b_z"])
    n = torch.tanh(x @ v["W_n"].T + r * (h @ v["U_n"].T + v["c_n"]) + context @ v["P_n"].T + v["b_n"])
    return {"h_new": n + z * (h - n)}


@register(
    "gru_d",
    "Che et al. 2018, Scientific Reports 8:6085, arXiv:1606.01865v2, section GRU-D",
    {"w_gamma_x": "I", "b_gamma_x": "I", "W_gamma_h": "HI", "b_gamma_h": "H", "x_mean": "I"}
    | per_gate("r z n", W="HI", U="HH", V="HI", b="H"),
    {"x": "I", "observed": "I", "delta": "I", "x_last": "I"},
)
def gru_d(v: Tensors) -> Tensors:
    """GRU for missing values: inputs decay from the last observed to the mean, the state to zero."""
    m, delta = v["observed"], v["delta"]
    gamma_x = torch.exp(-torch.relu(delta * v["w_gamma_x"] + v["b_gamma_x"]))
    gamma_h = torch.exp(-torch.relu(delta @ v["W_gamma_h"].T + v["b_gamma_h"]))
    x = m * v["x"] + (1 - m) * (gamma_x * v["x_last"] + (1 - gamma_x) * v["x_mean"])
    h = gamma_h * v["h_prev"]
    r = torch.sigmoid(x @ v["W_r"].T + h @ v["U_r"].T + m @ v["V_r"].T + v["b_r"])
    z = torch.sigmoid(x @ v["W_z"].T + h @ v["U_z"].T + m @ v["V_z"].T + v["b_z"])
    n = torch.tanh(x @ v["W_n"].T + (r * h) @ v["U_n"].T + m @ v["V_n"].T + v["b_n"])
    return {"h_new": (1 - z) * h + z * n}
