"""JSON that somebody else wrote: read strictly, and with the place of everything that is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

BYTES = 64 * 2**20
TEXT = 20_000


class CertificateError(ValueError):
    """A file that is no certificate, or one that does not hold; `path` is the place in the JSON."""

    def __init__(self, path: str, message: str):
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


@dataclass(frozen=True)
class Node:
    """A value of the file and its place."""

    value: Any
    path: str = ""

    def _expect(self, kind: type, words: str) -> Any:
        if not isinstance(self.value, kind) or isinstance(self.value, bool) != (kind is bool):
            raise CertificateError(self.path, f"expected {words}, got {_short(self.value)}")
        return self.value

    def text(self) -> str:
        """A string."""
        value: str = self._expect(str, "a string")
        if len(value) > TEXT:
            raise CertificateError(self.path, f"longer than {TEXT} characters")
        if not value.isprintable():
            raise CertificateError(self.path, "has characters that cannot be printed")
        return value

    def whole(self, digits: int) -> int:
        """A whole number."""
        value: int = self._expect(int, "a whole number")
        if abs(value) >= 10**digits:
            raise CertificateError(self.path, f"a number of more than {digits} digits")
        return value

    def boolean(self) -> bool:
        """True or false."""
        return bool(self._expect(bool, "true or false"))

    def items(self) -> list[Node]:
        """The parts of a list."""
        return [Node(v, f"{self.path}[{i}]") for i, v in enumerate(self._expect(list, "a list"))]

    def item(self, position: int, what: str = "an item") -> Node:
        """One part of a list."""
        parts = self.items()
        if position >= len(parts):
            raise CertificateError(
                self.path, f"expected {what} at position {position}, got {len(parts)} items"
            )
        return parts[position]

    def length(self, expected: int) -> list[Node]:
        """The parts of a list of so many."""
        parts = self.items()
        if len(parts) != expected:
            raise CertificateError(self.path, f"expected {expected} items, got {len(parts)}")
        return parts

    def entries(self) -> Iterator[tuple[str, Node]]:
        """Names and values of an object."""
        for name, value in self._expect(dict, "an object").items():
            yield name, Node(value, f"{self.path}.{name[:60]}".lstrip("."))

    def fields(self, *names: str, optional: tuple[str, ...] = ()) -> dict[str, Node]:
        """The values of an object that has these names and no others."""
        found = dict(self.entries())
        for name in names:
            if name not in found:
                raise CertificateError(self.path, f"expected the field {name!r}, there is none")
        for name in found:
            if name not in (*names, *optional):
                raise CertificateError(self.path, f"unknown field {name[:60]!r}")
        return found

    def texts(self) -> tuple[str, ...]:
        """A list of strings."""
        return tuple(part.text() for part in self.items())

    def one_of(self, *options: str) -> str:
        """A string out of a few."""
        value = self.text()
        if value not in options:
            raise CertificateError(self.path, f"expected one of {', '.join(options)}, got {value[:60]!r}")
        return value


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:60]}…"


def parse(text: str) -> Node:
    """The file as a value, without what JSON's grammar lets pass: repeated names, NaN, fractions.

    Raises:
        CertificateError: it is not such JSON.
    """
    if len(text) > BYTES:
        raise CertificateError("", f"longer than {BYTES} characters")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_distinct,
            parse_float=_no_float,
            parse_constant=_no_float,
            parse_int=_whole,
        )
    except json.JSONDecodeError as error:
        raise CertificateError("", f"no JSON: {error}") from None
    except RecursionError:
        raise CertificateError("", "no certificate: nested too deeply") from None
    return Node(value)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise CertificateError("", f"the name {name[:60]!r} occurs twice in one object")
        found[name] = value
    return found


def _no_float(text: str) -> Any:
    raise CertificateError("", f"{text[:60]} is no whole number: numbers here are exact")


def _whole(text: str) -> int:
    if len(text) > 1000:
        raise CertificateError("", "a number of more than 1000 digits")
    return int(text)
