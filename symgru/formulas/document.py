"""A file of formulas: a header that says what is meant, then one equation a line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from symgru.equations import Shape, bias, matrix, vector
from symgru.formulas.errors import FormulaError
from symgru.formulas.parser import Style, parse_expression
from symgru.formulas.tree import Name, Node

T = TypeVar("T")

MAX_BYTES = 200_000
MAX_EQUATIONS = 300

EXPECTED = (
    "expected a header that begins with the cell, e.g. 'cell: gru keep after', or 'cell: own' if the file "
    "defines the forward pass itself"
)
_KEYS = ("cell", "vectors", "style", "primes", "zero", "names", "new", "given", "states")
_LONG_KEYS = ("zero", "names", "new", "given", "states")  # further lines of them are indented
_KEY = re.compile(rf"({'|'.join(_KEYS)}|equations)\s*:(.*)")
_LATEX_DRESS = re.compile(
    r"\\(?:begin|end)\{(?:align|equation|gather|aligned|split|eqnarray)\*?\}"
    r"|\$|\\[\[\]()]|\\(?:tag|label)\{[^{}]*\}|\\(?:nonumber|notag)|(?:\\\\\s*)$|[.,;]\s*(?=\$*\s*$)"
)
_PLAIN_DRESS = re.compile(r";\s*$")


@dataclass(frozen=True)
class Text:
    """A line and its number."""

    number: int
    text: str


@dataclass
class Document:
    """What a file says.

    Attributes:
        cell: Name of the reference, or "own".
        style: How formulas are written.
        vectors_are_rows, primes_of_outputs: Conventions, see `symgru.formulas.meaning.Scope`.
        zero: Parameters that the user's cell does not have.
        names: Meaning of names.
        new: Names that have no meaning of their own, whatever the literature means by them.
        given: Shapes of further inputs.
        states: Pairs (state entering the step, state leaving it) of the user's own cell.
        equations: One a line.
    """

    cell: str
    style: Style
    vectors_are_rows: bool = False
    primes_of_outputs: bool = False
    zero: tuple[Name, ...] = ()
    names: Mapping[str, Node] = field(default_factory=dict)
    new: frozenset[str] = frozenset()
    given: Mapping[str, Shape] = field(default_factory=dict)
    states: tuple[tuple[str, str], ...] = ()
    equations: tuple[Text, ...] = ()


def decoded(data: bytes) -> str:
    """The text of a file.

    Raises:
        FormulaError: it is too long or not UTF-8; with its place.
    """
    if len(data) > MAX_BYTES:
        raise FormulaError(f"{len(data)} bytes, at most {MAX_BYTES} are read")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", errors="replace")
        line = before.count("\n") + 1
        raise FormulaError("not UTF-8 text", line, len(before) - before.rfind("\n")) from None


def read(text: str) -> Document:
    """Split a file into header and equations.

    Raises:
        FormulaError: the header is missing or not understood; with its place.
    """
    header, equations = _parted(text)
    style = _style(header, equations)
    entries = {key: [line for line in lines if line.text.strip()] for key, lines in header.items()}
    document = Document(
        cell=_one(entries, "cell").text.strip() if "cell" in entries else "",
        style=style,
        vectors_are_rows=_choice(entries, "vectors", ("columns", "rows")) == "rows",
        primes_of_outputs=_choice(entries, "primes", ("arguments", "outputs")) == "outputs",
    )
    if not document.cell:
        raise FormulaError(EXPECTED, 1, 1)
    document.zero = tuple(_names(entries, "zero", style))
    document.names = dict(_pairs(entries, "names", style, _parsed))
    document.new = frozenset(name.key for name in _names(entries, "new", style))
    given = _pairs(entries, "given", style, _shape)
    document.given = {name: _of_columns(shape, document.vectors_are_rows) for name, shape in given}
    document.states = tuple(_states(entries, style))
    document.equations = tuple(_equations(equations, style))
    return document


def _parted(text: str) -> tuple[dict[str, list[Text]], list[Text]]:
    """Header lines by key, and the other lines; comments and empty lines dropped."""
    header: dict[str, list[Text]] = {}
    equations: list[Text] = []
    key = ""
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if not line.strip() or line.lstrip().startswith(("#", "%")):
            continue
        match = _KEY.match(line) if not equations else None
        if match and match[1] == "equations":
            key = ""
        elif match:
            key = match[1]
            if key in header:
                raise FormulaError(f"a second '{key}:'", number, 1)
            header[key] = [Text(number, " " * match.start(2) + match[2])]
            key = key if key in _LONG_KEYS else ""
        elif key and line[0] in " \t" and not equations:
            header[key].append(Text(number, line))
        else:
            key = ""
            equations.append(Text(number, line))
    return header, equations


def _style(header: Mapping[str, list[Text]], equations: list[Text]) -> Style:
    if "style" in header:
        return Style(_choice(header, "style", tuple(style.value for style in Style)))
    commands = (c for line in equations for c in re.findall(r"\\[a-zA-Z]+|\$", line.text))
    return Style.LATEX if any(c not in ("\\odot", "\\circ") for c in commands) else Style.PLAIN


def _one(header: Mapping[str, list[Text]], key: str) -> Text:
    lines = header[key]
    if len(lines) != 1:
        raise FormulaError(f"expected one line after '{key}:'", lines[0].number if lines else 1, 1)
    return lines[0]


def _choice(header: Mapping[str, list[Text]], key: str, options: tuple[str, ...]) -> str:
    if key not in header:
        return options[0]
    line = _one(header, key)
    chosen = line.text.strip()
    if chosen not in options:
        raise FormulaError(f"'{key}:' is {chosen!r}, expected {' or '.join(options)}", line.number, 1)
    return chosen


def _name(text: str, line: Text, style: Style) -> Name:
    """One name; identifiers with underscores are read as plain text in LaTeX too."""
    node = _parsed(text, line, style)
    if not isinstance(node, Name):
        raise FormulaError(f"{text.strip()!r} is not a name", line.number, line.text.find(text.strip()) + 1)
    return node


def _parsed(text: str, line: Text, style: Style) -> Node:
    if re.fullmatch(r"\s*[A-Za-z]\w*\s*", text):
        style = Style.PLAIN
    column = line.text.find(text)
    try:
        return parse_expression(text, style)
    except FormulaError as error:
        raise FormulaError(error.message, line.number, error.column + max(column, 0)) from None


def _names(header: Mapping[str, list[Text]], key: str, style: Style) -> Iterator[Name]:
    for line in header.get(key, []):
        for text in line.text.replace(",", " ").split():
            yield _name(text, line, style)


def _pairs(
    header: Mapping[str, list[Text]], key: str, style: Style, right: Callable[[str, Text, Style], T]
) -> Iterator[tuple[str, T]]:
    """`name = …` on each line."""
    for line in header.get(key, []):
        name, equals, rest = line.text.partition("=")
        if not equals:
            raise FormulaError(f"expected 'name = …' under '{key}:'", line.number, 1)
        yield _name(name, line, style).key, right(rest, line, style)


def _shape(text: str, line: Text, style: Style) -> Shape:
    match = re.fullmatch(r"\s*(?:(vector|bias)\s+([A-Z])|matrix\s+([A-Z])\s+([A-Z]))\s*", text)
    if match is None:
        raise FormulaError(
            f"the shape {text.strip()!r}, expected 'vector H', 'bias H' or 'matrix H I', axes by capitals",
            line.number,
            len(line.text) - len(text.lstrip()) + 1,
        )
    if match[1]:
        return vector(match[2]) if match[1] == "vector" else bias(match[2])
    return matrix(match[3], match[4])


def _of_columns(shape: Shape, vectors_are_rows: bool) -> Shape:
    """The shape of the weight that multiplies columns from the left, which is how cells have them."""
    return matrix(*reversed(shape.axes)) if vectors_are_rows and len(shape.axes) == 2 else shape


def _states(header: Mapping[str, list[Text]], style: Style) -> Iterator[tuple[str, str]]:
    for line in header.get("states", []):
        for pair in line.text.split(";"):
            entering, arrow, leaving = pair.partition("->")
            if not arrow:
                raise FormulaError("expected 'h_{t-1} -> h_t' after 'states:'", line.number, 1)
            yield _name(entering, line, style).key, _name(leaving, line, style).key


def _equations(lines: list[Text], style: Style) -> Iterator[Text]:
    """The lines without what dresses equations in LaTeX or code, which becomes spaces."""
    count = 0
    for line in lines:
        text = line.text
        if style is Style.LATEX:
            text = re.sub(r"(?<!\\)%.*", _spaces, text)
            while (bare := _LATEX_DRESS.sub(_spaces, text)) != text:
                text = bare
        else:
            text = _PLAIN_DRESS.sub(_spaces, re.sub(r"(?:#|//).*", _spaces, text))
        if text.strip():
            count += 1
            if count > MAX_EQUATIONS:
                raise FormulaError(f"more than {MAX_EQUATIONS} equations", line.number, 1)
            yield Text(line.number, text.rstrip())


def _spaces(match: re.Match[str]) -> str:
    return " " * len(match[0])
