"""Results that eager calls share. A tracer sees through no cache, so under one the function itself runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")


def remembered(function: Callable[P, R]) -> Callable[P, R]:
    """The function with its last results kept; its arguments are hashable, its results are not changed."""
    kept = lru_cache(maxsize=256)(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs) if torch.compiler.is_compiling() else kept(*args, **kwargs)  # type: ignore[arg-type]  # they are hashable

    return call
