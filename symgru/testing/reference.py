"""GRUs typed from the papers, by hand and on purpose: an independent witness for the equations.

Plain NumPy on [T, B, I], one line per published equation; nothing here is derived or emitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def textbook_gru(values: Mapping[str, Array], polarity: str, reset: str) -> Array:
    """States [T, B, H] of a GRU.

    Args:
        values: x [T, B, I], h_prev [B, H] the first state, W_r W_z W_n [H, I], U_r U_z U_n [H, H],
            b_r b_z b_n [H], and c_n [H] for reset after.
        polarity: keep (Cho et al. 2014, v3 eq. 7) or update (Chung et al. 2014, eq. 5).
        reset: before (Cho et al. 2014, v3 eq. 8), after (v1; torch.nn.GRU), or whole.
    """
    v, h, states = values, values["h_prev"], []
    for x in values["x"]:
        r = _logistic(x @ v["W_r"].T + h @ v["U_r"].T + v["b_r"])
        z = _logistic(x @ v["W_z"].T + h @ v["U_z"].T + v["b_z"])
        if reset == "before":
            n = np.tanh(x @ v["W_n"].T + (r * h) @ v["U_n"].T + v["b_n"])
        elif reset == "after":
            n = np.tanh(x @ v["W_n"].T + v["b_n"] + r * (h @ v["U_n"].T + v["c_n"]))
        else:
            n = np.tanh(r * (x @ v["W_n"].T + h @ v["U_n"].T + v["b_n"]))
        h = z * h + (1 - z) * n if polarity == "keep" else (1 - z) * h + z * n
        states.append(h)
    return np.stack(states)


def _logistic(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))
