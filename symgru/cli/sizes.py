"""Sizes as options take them."""

from __future__ import annotations

import click


def steps_batch_units(text: str, option: str, example: str) -> tuple[int, int, int]:
    """T, B and H of "8,16,32"; the error of an option gives an example.

    Raises:
        click.BadParameter: they are not three positive integers.
    """
    words = [word.strip() for word in text.split(",")]
    if len(words) != 3 or not all(word.isascii() and word.isdigit() and int(word) > 0 for word in words):
        raise click.BadParameter(f"expected T,B,H such as {example}, got {text!r}", param_hint=option)
    T, B, H = map(int, words)
    return T, B, H
