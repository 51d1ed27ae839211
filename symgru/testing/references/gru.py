"""The GRU: two polarities, three placements of the reset gate, and how many biases.

Biases of one layer: 0H none; 3H one a gate, b; 4H (reset after) also c_n inside the reset gate; 6H two a
gate, b beside the product of the input and c beside that of the state, as torch.nn.GRU has them. In the gates
only b + c counts, and so in the candidate with reset before or whole; with reset after, r multiplies c_n.
"""

from __future__ import annotations

from itertools import product

import torch

from symgru.testing.references.model import Step, Tensors, per_gate, register

_PAPERS = {
    "keep": "Cho et al. 2014, arXiv:1406.1078v3, eq. 5-8",
    "update": "Chung et al. 2014, arXiv:1412.3555, section 3.2",
}
_PLACEMENTS = {
    "before": "reset before the product, v3 eq. 8",
    "after": "reset after the product, arXiv:1406.1078v1 and torch.nn.GRU",
    "whole": "reset on the whole argument, danijar/dreamerv3 without its norm",
}
_USUAL = {"before": 3, "after": 4, "whole": 3}
_COUNTS = {"before": (0, 3, 6), "after": (0, 3, 4, 6), "whole": (0, 3, 6)}


def biases_of(count: int) -> tuple[str, ...]:
    """Names of the biases where there are 0H, 3H, 4H or 6H of them."""
    b, c = ("b_r", "b_z", "b_n"), ("c_r", "c_z", "c_n")
    return {0: (), 3: b, 4: (*b, "c_n"), 6: (*b, *c)}[count]


def _gru(polarity: str, reset: str) -> Step:
    def step(v: Tensors) -> Tensors:
        x, h, none = v["x"], v["h_prev"], v["h_prev"].new_zeros(())
        b_r, b_z, b_n = (v.get(name, none) for name in ("b_r", "b_z", "b_n"))
        c_r, c_z, c_n = (v.get(name, none) for name in ("c_r", "c_z", "c_n"))
        r = torch.sigmoid(x @ v["W_r"].T + b_r + h @ v["U_r"].T + c_r)
        z = torch.sigmoid(x @ v["W_z"].T + b_z + h @ v["U_z"].T + c_z)
        if reset == "before":
            n = torch.tanh(x @ v["W_n"].T + b_n + (r * h) @ v["U_n"].T + c_n)
        elif reset == "after":
            n = torch.tanh(x @ v["W_n"].T + b_n + r * (h @ v["U_n"].T + c_n))
        else:
            n = torch.tanh(r * (x @ v["W_n"].T + b_n + h @ v["U_n"].T + c_n))
        return {"h_new": z * h + (1 - z) * n if polarity == "keep" else (1 - z) * h + z * n}

    return step


for _polarity, _reset in product(_PAPERS, _PLACEMENTS):
    for _count in _COUNTS[_reset]:
        register(
            f"gru_{_polarity}_{_reset}" + ("" if _count == _USUAL[_reset] else f"_{_count}h"),
            f"{_PAPERS[_polarity]}; {_PLACEMENTS[_reset]}; {_count}H biases",
            per_gate("r z n", W="HI", U="HH") | dict.fromkeys(biases_of(_count), "H"),
        )(_gru(_polarity, _reset))
