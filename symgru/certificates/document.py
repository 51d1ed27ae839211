"""A certificate as JSON, and back: what was claimed, with everything that is needed to decide it again.

`docs/certificates.md` describes the form.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symgru import __version__
from symgru.certificates.obligations import Obligation
from symgru.certificates.programs import (
    program_from_json,
    program_to_json,
    relation_from_json,
    relation_to_json,
    setting_from_json,
    setting_to_json,
)
from symgru.certificates.reading import CertificateError, Node
from symgru.certificates.trees import from_tree, symbol_of, to_tree
from symgru.certificates.verdicts import PROVED, REFUTED, UNDECIDED
from symgru.equations import Program
from symgru.proof import Lemma, Refutation, Step, Theorem
from symgru.proof.setting import Place, Relation, Role, Setting

SCHEMA, SCHEMA_VERSION = "symgru.certificate", 1
Json = dict[str, Any]
WORDS = ("name", "statement", "latex")


def header(judges: Mapping[str, str]) -> Json:
    """Versions of all that took part; judges are names with versions."""
    versions = {"symgru": __version__, "python": platform.python_version(), "SymPy": str(sp.__version__)}
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "versions": {**versions, **judges},
        "judges": list(judges),
    }


def lemma_to_json(lemma: Lemma, verdicts: Mapping[str, str]) -> Json:
    """A lemma with both sides, and what the judges say of it."""
    return {
        "name": lemma.name,
        "left": to_tree(lemma.left),
        "right": to_tree(lemma.right),
        "cases": [[[to_tree(s), to_tree(value)] for s, value in case] for case in lemma.cases],
        "verdicts": dict(verdicts),
    }


def theorem_to_json(theorem: Theorem, decided: Sequence[tuple[Step, Obligation | None]]) -> Json:
    """A theorem with its programs, simulations and steps; `decided` are its steps with what was decided."""
    places = [step.place for step, _ in decided if step.place]
    settings = list({id(place.setting): place.setting for place in places}.values())
    programs: dict[int, int] = {}  # identity of a program -> position of one that is equal
    distinct: list[Json] = []
    for program in (p for setting in settings for p in (setting.reference, setting.program)):
        data = program_to_json(program)
        if data not in distinct:
            distinct.append(data)
        programs[id(program)] = distinct.index(data)
    positions = {id(setting): i for i, setting in enumerate(settings)}
    return {
        "kind": "theorem",
        **{name: getattr(theorem, name) for name in WORDS},
        "assumptions": list(theorem.assumptions),
        "premises": list(theorem.premises),
        "conclusion": theorem.conclusion,
        "programs": distinct,
        "simulations": [setting_to_json(setting, programs) for setting in settings],
        "steps": [_step_to_json(step, obligation, positions) for step, obligation in decided],
    }


def _step_to_json(step: Step, obligation: Obligation | None, positions: Mapping[int, int]) -> Json:
    place = step.place
    return {
        "case": step.case,
        "claim": step.claim,
        "justification": step.justification,
        "lemmas": list(step.lemmas),
        "shows": place
        and {
            "simulation": positions[id(place.setting)],
            "role": place.role.value,
            "symbol": str(place.symbol),
            "image": to_tree(place.image),
        },
        "equation": obligation and [to_tree(obligation.left), to_tree(obligation.right)],
        "verdicts": dict(step.verdicts),
    }


def refutation_to_json(refutation: Refutation) -> Json:
    """A refutation with both programs and its witness, the inputs as exact numbers."""
    witness = refutation.witness
    return {
        "kind": "refutation",
        **{name: getattr(refutation, name) for name in WORDS},
        "left": refutation.left,
        "right": refutation.right,
        "programs": [program_to_json(program) for program in refutation.programs],
        "relation": relation_to_json(refutation.relation),
        "witness": witness.to_json() | {"values": {n: _numbers(v) for n, v in witness.values.items()}},
    }


def _numbers(value: Any) -> Any:
    return [_numbers(part) for part in value] if isinstance(value, list) else to_tree(value)


# Reading.


@dataclass(frozen=True)
class ReadTheorem:
    """What a file says of a theorem; nothing of it is decided yet."""

    words: Json
    premises: tuple[str, ...]
    steps: tuple[Step, ...]
    path: str

    @property
    def name(self) -> str:
        """Identifier."""
        return str(self.words["name"])


@dataclass(frozen=True)
class ReadRefutation:
    """What a file says of a refutation."""

    words: Json
    programs: tuple[Program, ...]
    relation: Relation
    witness: Json
    values: Mapping[sp.Symbol, Any]
    path: str

    @property
    def name(self) -> str:
        """Identifier."""
        return str(self.words["name"])


@dataclass(frozen=True)
class ReadCertificate:
    """A whole file."""

    versions: Mapping[str, str]
    judges: tuple[str, ...]
    lemmas: tuple[Json, ...]
    claims: tuple[ReadTheorem | ReadRefutation, ...]


def certificate_from_json(node: Node) -> ReadCertificate:
    """What the file says.

    Raises:
        CertificateError: it does not have the form of a certificate; the message says where.
    """
    found = node.fields("schema", "schema_version", "versions", "judges", "lemmas", "claims")
    found["schema"].one_of(SCHEMA)
    if found["schema_version"].whole(6) != SCHEMA_VERSION:
        version = found["schema_version"]
        raise CertificateError(version.path, f"expected version {SCHEMA_VERSION}, got {version.value}")
    judges = found["judges"].texts()
    if not judges or len(set(judges)) != len(judges):
        raise CertificateError(found["judges"].path, "expected the names of judges, each once")
    versions = {name: value.text() for name, value in found["versions"].entries()}
    if set(versions) != {"symgru", "python", "SymPy", *judges}:
        raise CertificateError(found["versions"].path, f"expected those of symgru, python and {judges}")
    lemmas = tuple(_lemma(part, judges) for part in found["lemmas"].items())
    claims = tuple(claim_from_json(part, judges) for part in found["claims"].items())
    if not claims:
        raise CertificateError(found["claims"].path, "expected at least one claim")
    return ReadCertificate(versions, judges, lemmas, claims)


def _lemma(node: Node, judges: Iterable[str]) -> Json:
    found = node.fields("name", "left", "right", "cases", "verdicts")
    found["name"].text()
    _verdicts(found["verdicts"], judges)
    return dict(node.value)


def claim_from_json(node: Node, judges: Iterable[str] = ()) -> ReadTheorem | ReadRefutation:
    """One claim of a file.

    Args:
        judges: Of whom each calculation has a verdict.
    Raises:
        CertificateError: it does not have the form of a claim; the message says where.
    """
    kind = dict(node.entries()).get("kind", Node("", node.path))
    if kind.one_of("theorem", "refutation") == "refutation":
        return _refutation(node)
    texts = (*WORDS, "conclusion")
    found = node.fields("kind", *texts, "assumptions", "premises", "programs", "simulations", "steps")
    programs = [program_from_json(part) for part in found["programs"].items()]
    settings = [setting_from_json(part, programs) for part in found["simulations"].items()]
    words = {name: found[name].text() for name in texts}
    steps = tuple(_step(part, settings, judges) for part in found["steps"].items())
    used = {id(step.place.setting) for step in steps if step.place}
    _check_used(found["simulations"], settings, used)
    _check_used(found["programs"], programs, {id(p) for s in settings for p in (s.reference, s.program)})
    assumptions = {"assumptions": list(found["assumptions"].texts())}
    return ReadTheorem(words | assumptions, found["premises"].texts(), steps, node.path)


def _check_used(node: Node, items: Sequence[object], used: Collection[int]) -> None:
    for part, item in zip(node.items(), items, strict=True):
        if id(item) not in used:
            raise CertificateError(part.path, "nothing refers to it")


def _step(node: Node, settings: list[Setting], judges: Iterable[str]) -> Step:
    found = node.fields("case", "claim", "justification", "lemmas", "shows", "equation", "verdicts")
    equation = None
    if found["equation"].value is not None:
        left, right = found["equation"].length(2)
        equation = (from_tree(left), from_tree(right))
    return Step(
        found["claim"].text(),
        found["justification"].text(),
        equation,
        found["lemmas"].texts(),
        found["case"].text(),
        stated=equation,
        place=None if found["shows"].value is None else _place(found["shows"], settings),
        verdicts=_verdicts(found["verdicts"], judges if equation else ()),
    )


def _place(node: Node, settings: list[Setting]) -> Place:
    found = node.fields("simulation", "role", "symbol", "image")
    position = found["simulation"].whole(6)
    if not 0 <= position < len(settings):
        raise CertificateError(found["simulation"].path, f"there is no simulation {position}")
    role = Role(found["role"].one_of(*(role.value for role in Role)))
    return Place(settings[position], role, symbol_of(found["symbol"]), from_tree(found["image"]))


def _verdicts(node: Node, judges: Iterable[str]) -> tuple[tuple[str, str], ...]:
    found = node.fields(*judges)
    return tuple((name, value.one_of(PROVED, UNDECIDED, REFUTED)) for name, value in found.items())


def _refutation(node: Node) -> ReadRefutation:
    texts = (*WORDS, "left", "right")
    found = node.fields("kind", *texts, "programs", "relation", "witness")
    witness = found["witness"].fields("sizes", "values", "left", "right", "digits", "gap")
    for side in (bound for name in ("left", "right") for bound in witness[name].items()):
        for bound in side.fields("lower", "upper").values():
            bound.text()
    for size in dict(witness["sizes"].entries()).values():
        size.whole(2)
    witness["digits"].whole(3)
    witness["gap"].text()
    return ReadRefutation(
        {name: found[name].text() for name in texts},
        tuple(program_from_json(part) for part in found["programs"].length(2)),
        relation_from_json(found["relation"]),
        dict(found["witness"].value),
        {symbol_of(Node(n, v.path)): _value(v) for n, v in witness["values"].entries()},
        node.path,
    )


def _value(node: Node, depth: int = 0) -> Any:
    """Nested lists of numbers; ["rational", p, q] is a number."""
    is_number = isinstance(node.value, int) or (
        isinstance(node.value, list) and node.value[:1] == ["rational"]
    )
    if not is_number and depth < 2:
        return [_value(part, depth + 1) for part in node.items()]
    number = from_tree(node)
    if not number.is_Rational:
        raise CertificateError(node.path, f"expected a number, got {number}")
    return number
