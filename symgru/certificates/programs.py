"""Programs and simulations as JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from symgru.certificates.reading import CertificateError, Node
from symgru.certificates.trees import FUNCTIONS, from_tree, symbol_of, to_tree
from symgru.equations import (
    Contract,
    Mean,
    Outer,
    Pointwise,
    Product,
    Program,
    ProgramError,
    Shape,
    Statement,
    Sum,
)
from symgru.proof.setting import Relation, Setting

#: What a statement may contain: no operator, those are statements of their own.
POINTWISE = {
    **{name: FUNCTIONS[name] for name in ("sigmoid", "relu", "step", "softplus", "exp", "rsqrt", "select")},
    "tanh": (sp.tanh, 1),
}


def program_to_json(program: Program) -> dict[str, Any]:
    """Inputs with their axes, statements in order, outputs."""
    return {
        "inputs": {
            str(symbol): {"axes": list(shape.axes), "per_step": shape.per_step}
            for symbol, shape in program.inputs.items()
        },
        "statements": [_statement_to_json(statement) for statement in program],
        "outputs": list(map(str, program.outputs)),
    }


def _statement_to_json(statement: Statement) -> list[Any]:
    target = str(statement.target)
    match statement:
        case Pointwise():
            return ["pointwise", target, to_tree(statement.expression)]
        case Contract():
            terms = [[str(t.matrix), str(t.vector), t.transposed] for t in statement.terms]
            return ["contract", target, terms]
        case Mean():
            return ["mean", target, str(statement.source)]
        case Outer():
            return ["outer", target, [[str(left), str(right)] for left, right in statement.terms]]
        case Sum():
            return ["sum", target, list(map(str, statement.terms))]


def program_from_json(node: Node) -> Program:
    """The program.

    Raises:
        CertificateError: it is none; the message says where.
    """
    found = node.fields("inputs", "statements", "outputs")
    inputs = {_input(name, value): _shape(value) for name, value in found["inputs"].entries()}
    statements = tuple(_statement(part) for part in found["statements"].items())
    outputs = tuple(symbol_of(part) for part in found["outputs"].items())
    try:
        return Program(inputs, statements, outputs)
    except ProgramError as error:
        raise CertificateError(node.path, str(error)) from None


def _input(name: str, node: Node) -> sp.Symbol:
    return symbol_of(Node(name, node.path))


def _shape(node: Node) -> Shape:
    found = node.fields("axes", "per_step")
    shape = Shape(found["axes"].texts(), found["per_step"].boolean())
    if len(shape.axes) not in (1, 2) or (shape.per_step and len(shape.axes) == 2):
        raise CertificateError(node.path, "expected one axis, or two of a parameter")
    return shape


def _statement(node: Node) -> Statement:
    kind, name, right = node.length(3)
    target = symbol_of(name)
    match kind.one_of("pointwise", "contract", "mean", "outer", "sum"):
        case "pointwise":
            return Pointwise(target, from_tree(right, POINTWISE))
        case "contract":
            return Contract(target, tuple(map(_product, right.items())))
        case "mean":
            return Mean(target, symbol_of(right))
        case "outer":
            return Outer(target, tuple(map(_pair, right.items())))
        case _:
            return Sum(target, tuple(map(symbol_of, right.items())))


def _product(node: Node) -> Product:
    matrix, vector, transposed = node.length(3)
    return Product(symbol_of(matrix), symbol_of(vector), transposed.boolean())


def _pair(node: Node) -> tuple[sp.Symbol, sp.Symbol]:
    left, right = node.length(2)
    return symbol_of(left), symbol_of(right)


def setting_to_json(setting: Setting, programs: Mapping[int, int]) -> dict[str, Any]:
    """A simulation without its steps; programs by their position."""
    carry = None if setting.carry is None else [[str(a), str(b)] for a, b in setting.carry]
    return {
        "reference": programs[id(setting.reference)],
        "program": programs[id(setting.program)],
        "relation": relation_to_json(setting.relation),
        "given": relation_to_json(setting.given),
        "goal": relation_to_json(setting.goal),
        "tied": list(map(str, setting.tied)),
        "carry": carry,
        "reverse": setting.reverse,
    }


def relation_to_json(relation: Relation) -> dict[str, Any]:
    """Symbols with what they are related to."""
    return {str(symbol): to_tree(image) for symbol, image in relation.items()}


def setting_from_json(node: Node, programs: list[Program]) -> Setting:
    """The simulation.

    Raises:
        CertificateError: it is none; the message says where.
    """
    fields = ("reference", "program", "relation", "given", "goal", "tied", "carry", "reverse")
    found = node.fields(*fields)
    return Setting(
        _position(found["reference"], programs),
        _position(found["program"], programs),
        relation_from_json(found["relation"]),
        relation_from_json(found["goal"]),
        relation_from_json(found["given"]),
        tuple(map(symbol_of, found["tied"].items())),
        None if found["carry"].value is None else tuple(map(_pair, found["carry"].items())),
        found["reverse"].boolean(),
    )


def _position(node: Node, programs: list[Program]) -> Program:
    position = node.whole(6)
    if not 0 <= position < len(programs):
        raise CertificateError(node.path, f"there is no program {position}, there are {len(programs)}")
    return programs[position]


def relation_from_json(node: Node) -> Relation:
    """Symbols with what they are related to.

    Raises:
        CertificateError: a name or a tree is none; the message says where.
    """
    return {symbol_of(Node(name, value.path)): from_tree(value) for name, value in node.entries()}
