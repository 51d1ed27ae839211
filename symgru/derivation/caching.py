"""A memory for each step of a derivation: pipelines, proofs and documents ask for the same ones again."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")

_CLEAR: list[Callable[[], None]] = []


def cached(function: Callable[P, R]) -> Callable[P, R]:
    """The function with a memory of its last results; its arguments and results are immutable."""
    remembering = lru_cache(maxsize=1024)(function)
    _CLEAR.append(remembering.cache_clear)
    return cast(Callable[P, R], remembering)


def clear() -> None:
    """Forget all results: for tests that plant errors in the rules."""
    for each in _CLEAR:
        each()
