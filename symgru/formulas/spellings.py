"""How papers and programs write the values of a cell, and which names are cotangents.

Any cell's values go by the names that the cell gives them, and usual ones by the letters of papers too.
Where letters mean different things in different papers, the header of a file decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from symgru.formulas.tree import Name

_GATES = {
    "r": ("r",),
    "z": ("z", "u"),
    "n": ("n", "h", "c", "g"),
    "f": ("f",),
    "i": ("i",),
    "g": ("g", "c"),
    "o": ("o",),
}
_STATES = {
    "x": ("x",),
    "c_new": ("c",),
    "reset_gate": ("r",),
    "update_gate": ("z", "u"),
    "forget_gate": ("f",),
    "input_gate": ("i",),
    "output_gate": ("o",),
    "cell_candidate": ("g", "c~"),
    "candidate": ("n~", "n", "h~", "g", "c~", "c", "%hath"),
    "reset_state": ("s",),
    "h_new": ("h",),
    "valid": ("m",),
}
_STEMS = {
    "r": ("reset", "reset_gate"),
    "z": ("update", "update_gate"),
    "f": ("forget_gate",),
    "i": ("input_gate",),
    "o": ("output_gate",),
    "g": ("cell_candidate",),
    "n": ("candidate",),
}
_BEFORE = ("{l}_{{t-1}}", "{l}_prev", "{l}_last", "{l}_old", "{l}0", "{l}_0", "{l}x")
_AFTER = ("{l}_new", "{l}'", "{l}_next", "{l}y")


def _spellings() -> Iterator[tuple[str, str]]:
    for value, letters in _STATES.items():
        for letter in letters:
            yield from ((f"{letter}_t", value), (letter, value))
    for state in "hc":
        yield from ((key.format(l=state), f"{state}_prev") for key in _BEFORE)
        yield from ((key.format(l=state), f"{state}_new") for key in _AFTER)
    for gate, stems in _STEMS.items():
        for letter in _GATES[gate]:
            for key in (f"a^{letter}_t", f"a_{letter}", f"a^{letter}", f"a_{{{letter},t}}"):
                yield from ((key, f"{stem}_preactivation") for stem in stems)
    for gate, letters in _GATES.items():
        for letter in letters:
            yield from ((key, f"W_{gate}") for key in (f"W_{letter}", f"W_x{letter}", f"W_i{letter}"))
            yield from ((key, f"U_{gate}") for key in (f"U_{letter}", f"W_h{letter}", f"R_{letter}"))
            yield f"b_{letter}", f"b_{gate}"
    yield from (("W", "W_n"), ("U", "U_n"), ("b", "b_n"), ("c_n", "c_n"), ("b_in", "b_n"), ("b_hn", "c_n"))


#: Spelling -> names of values; it means the first of them that a cell has.
SPELLINGS: dict[str, tuple[str, ...]] = {}
#: Name of a value -> its first spelling, which reports use.
USUAL: dict[str, str] = {}
for _key, _value in _spellings():
    SPELLINGS[_key] = (*SPELLINGS.get(_key, ()), _value)
    USUAL.setdefault(_value, _key)

#: What makes a cotangent of the name that follows, with nothing between or a space.
DIFFERENTIALS = frozenset({"d", "delta", "Delta", "partial", "δ", "∂", "nabla"})
#: Subscripts that are a time step.
STEPS = frozenset({"", "t", "t-1", "t+1"})
_PREFIXES = ("dLd", "dEd", "grad", "d", "δ", "∂")


def marked(name: Name) -> Iterator[Name]:
    """The names that a name may be the cotangent of by the way it is written: d_h, dh, dLdh, h with a bar."""
    if name.accent == "bar":
        yield replace(name, accent="")
    for prefix in _PREFIXES:
        if name.base == prefix and name.subscript and prefix != "δ":  # δ_z: see `Scope.signals`
            yield identifier(name.subscript, name)
        elif name.base.startswith(prefix) and len(name.base) > len(prefix):
            yield replace(name, base=name.base[len(prefix) :])
    if name.base in ("dL", "dE") and name.subscript.startswith("d"):
        yield identifier(name.subscript[1:], name)


def identifier(text: str, name: Name) -> Name:
    """`h_prev` as a name, and `{h_{t-1}}`, which has lost its inner mark."""
    base, _, subscript = text.partition("_")
    if not re.fullmatch(r"[^\W\d]\w*'?", base):
        return replace(name, base=text, subscript="")
    return replace(name, base=base, subscript=subscript)


def variants(key: str) -> Iterator[str]:
    """A name and its other spellings with regard to the time step: z and z_t, h_prev and h_{t-1}."""
    yield key
    if "_" not in key:
        yield f"{key}_t"
    yield key.removesuffix("_t")
    for forms in (_BEFORE, _AFTER):
        if len(key) > 1 and key in (form.format(l=key[0]) for form in forms):
            yield from (form.format(l=key[0]) for form in forms)


def spelled(key: str) -> Name:
    """The name of a key, e.g. of `h~_{t-1}`."""
    match = re.fullmatch(r"([^~%^_]+|%hat[a-z])(~?)(?:\^(\{[^}]*\}|[^_]+))?(?:_(.+))?", key)
    if match is None:
        return Name(key)
    base, tilde, superscript, subscript = (part or "" for part in match.groups())
    accent = "tilde" if tilde else "hat" if base.startswith("%hat") else ""
    return Name(base.removeprefix("%hat"), subscript.strip("{}"), superscript.strip("{}"), accent)
