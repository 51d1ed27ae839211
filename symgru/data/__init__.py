"""Data that ship with symgru: utterances to try a recurrent network on. README.md: source and licence."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

CHANNELS, SPEAKERS = 12, 9


@dataclass(frozen=True)
class Utterances:
    """Spoken vowels of different lengths.

    Attributes:
        values: One array [T, 12] float32 for each utterance: cepstrum coefficients over time, T from 7 to 29.
        labels: The speaker of each utterance, [N] int64, 0 to 8.
    """

    values: tuple[Array, ...]
    labels: Array

    def __len__(self) -> int:
        return len(self.values)

    def first(self, number: int) -> Utterances:
        """That many utterances, taken evenly over the data, which are ordered by speaker."""
        chosen = np.linspace(0, len(self) - 1, min(number, len(self))).round().astype(int)
        return Utterances(tuple(self.values[i] for i in chosen), self.labels[chosen])


def japanese_vowels(part: str) -> Utterances:
    """Utterances of nine speakers: 270 for training (30 of each), 370 for testing.

    Args:
        part: "train" or "test".
    Raises:
        ValueError: part is neither.
    Source: Kudo, Toyama and Shimbo 1999, Pattern Recognition Letters 20, 1103-1111; UCI Machine Learning
        Repository, "Japanese Vowels", CC BY 4.0.
    """
    if part not in ("train", "test"):
        raise ValueError(f"part must be train or test, but is {part!r}")
    with (
        (files(__name__) / "japanese_vowels.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as data,
    ):
        values, lengths, labels = (data[f"{part}_{name}"] for name in ("values", "lengths", "labels"))
    utterances = np.split(values, np.cumsum(lengths)[:-1])
    return Utterances(tuple(utterances), labels.astype(np.int64))
