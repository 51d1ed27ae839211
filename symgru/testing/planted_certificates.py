"""Edit certificates, one value at a time, and see that verification finds every edit.

`planted_certificates()` yields (where, error, complaint), the complaint None if the edit was not found. Left
out are the edits that change nothing: of the versions that the writer had, of the order of the judges and of
unrelated claims, and of the order in a sum, a product, a maximum or a minimum.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import cache
from itertools import islice
from typing import Any

from symgru.certificates import CertificateError, Judge, certificate, judge, judges, verify
from symgru.proof import Refutation, Theorem, all_theorems

#: A simulation with induction, one with given values, calculations that belong to none, a witness.
CLAIMS = ("keep-is-update-after", "one-step-from-zero", "only-diagonal-recurrence", "before-is-not-after")
UNORDERED = ("add", "multiply", "max", "min")
KEPT = (".versions", ".judges")

Path = tuple[str | int, ...]
Edit = tuple[str, str, Any]  # where, what was done, the edited certificate


@cache
def example(*names: str) -> str:
    """The certificate of these claims, as text."""
    known, by = dict(all_theorems()), judges()
    claims = [known[name]() for name in names]
    proved = [claim if isinstance(claim, Refutation) else judge(claim, by) for claim in claims]
    return json.dumps(certificate(proved, by), ensure_ascii=False)


def planted_certificates(every: int = 1) -> Iterator[tuple[str, str, str | None]]:
    """Every edit, or one in so many, with what verification says of it."""
    known, by = dict(all_theorems()), judges()
    for name in CLAIMS:
        text = example(name)
        assert complaint_about(text, by, known) is None, f"the certificate of {name} itself is refused"
        for where, error, edited in edits(json.loads(text), every):
            found = complaint_about(json.dumps(edited, ensure_ascii=False), by, known)
            yield f"certificate of {name}", f"{where} {error}", found


def complaint_about(
    text: str, by: Sequence[Judge], known: dict[str, Callable[[], Theorem | Refutation]]
) -> str | None:
    """Why a certificate is refused; None if it is verified."""
    try:
        found = verify(text, by, known)
    except CertificateError as error:
        return str(error)
    return next((claim.complaint for claim in found.claims if claim.complaint), None)


def edits(data: Any, every: int = 1, within: str = "") -> Iterator[Edit]:
    """Copies of the data, each with one edit: of every number, text, truth value, list and object in it.

    Args:
        every: Only one in so many.
        within: Only where the place matches this regular expression.
    """
    found = ((path, where, *edit) for path, where in _places(data, within) for edit in _edited(data, path))
    for path, where, error, value in islice(found, 0, None, every):
        copy = deepcopy(data)
        _at(copy, path[:-1])[path[-1]] = value
        yield where, error, copy


def _places(data: Any, within: str) -> Iterator[tuple[Path, str]]:
    for path in _paths(data):
        where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)
        if path and not where.startswith(KEPT) and re.match(within, where):
            yield path, where


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield from _paths(part, (*path, name))


def _at(data: Any, path: Path) -> Any:
    for part in path:
        data = data[part]
    return data


def _edited(data: Any, path: Path) -> Iterator[tuple[str, Any]]:
    match value := _at(data, path):
        case bool():
            yield f"{value} -> {not value}", not value
        case int():
            yield f"{value} -> {value + 1}", value + 1
            yield f"{value} -> {-value - 1}", -value - 1
        case str():
            yield from _edited_text(value)
        case list():
            yield from _edited_list(value, path)
        case dict():
            for name in value:
                yield f"without {name}", {k: v for k, v in value.items() if k != name}
                yield f"{name} misspelt", {f"{k}_" if k == name else k: v for k, v in value.items()}
        case None:
            yield "null -> []", []


def _edited_text(value: str) -> Iterator[tuple[str, Any]]:
    shown = value if len(value) < 30 else f"{value[:30]}…"
    yield f"{shown!r} with a letter more", f"{value}x"
    if value:
        yield f"{shown!r} -> ''", ""
    swapped = {"proved": "refuted", "statement": "goal", "goal": "statement", "add": "multiply"}
    swapped |= {"multiply": "add", "sigmoid": "tanh", "tanh": "sigmoid", "contraction": "outer_product"}
    swapped |= {"h_prev": "x", "x": "h_prev", "update_gate": "reset_gate", "reset_gate": "update_gate"}
    swapped |= {"W_z": "W_r", "U_z": "U_r", "b_z": "b_r", "b_n": "c_n", "candidate": "h_prev", "H": "I"}
    if value in swapped:
        yield f"{value} -> {swapped[value]}", swapped[value]
    if "-" in value:
        yield f"{shown!r} without a sign", value.replace("-", "", 1)


def _edited_list(value: list[Any], path: Path) -> Iterator[tuple[str, Any]]:
    is_tree = bool(value) and isinstance(value[0], str) and "inputs" not in path
    for i in range(len(value)):
        yield f"without item {i}", value[:i] + value[i + 1 :]
        yield f"item {i} twice", value[: i + 1] + value[i:]
    unordered = path == ("claims",) or (is_tree and value[0] in UNORDERED)
    for i in range(1 if unordered and is_tree else 0, len(value) - 1):
        if value[i] != value[i + 1] and not unordered:
            yield f"items {i} and {i + 1} exchanged", [*value[:i], value[i + 1], value[i], *value[i + 2 :]]
    if is_tree and value[0] != "rational" and len(path) > 3:
        yield "negated", ["multiply", -1, value]
