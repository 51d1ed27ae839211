"""On which axes an expression lives, which values are one number in all units, and what a mask may be."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sympy as sp

from symgru.equations import Contract, Pointwise, Program, Shape
from symgru.proof import ProofError
from symgru.proof.terms import Average, Contraction, OuterProduct, Total, TransposedContraction

Axes = tuple[str, ...]


def check_image(claim: str, image: sp.Expr, shapes: Mapping[sp.Symbol, Shape], shape: Shape) -> None:
    """Check that an image lives on the axes of what it is the image of; a number lives on all.

    Raises:
        ProofError: it does not, or reads what there is not.
    """
    found = axes(image, shapes)
    if found is not None and found != shape.axes:
        raise ProofError(f"'{claim}': the image lives on {list(found)}, expected {list(shape.axes)}")


def axes(node: sp.Expr, shapes: Mapping[sp.Symbol, Shape]) -> Axes | None:
    """The axes of one term; None for a number.

    Raises:
        ProofError: parts of it live on different axes, or a symbol is unknown.
    """
    if node.is_Symbol:
        if node not in shapes:
            raise ProofError(f"{node} is no value of the reference")
        return shapes[node].axes
    parts = [axes(argument, shapes) for argument in node.args]
    if isinstance(node, (Contraction, TransposedContraction)):
        return _product(node, parts)
    if isinstance(node, OuterProduct):
        return _vector(node, parts[0]) + _vector(node, parts[1])
    if isinstance(node, (Average, Total)):
        return _vector(node, parts[0])
    found = {part for part in parts if part is not None}
    if len(found) > 1:
        raise ProofError(f"parts of {node} live on different axes, {sorted(map(str, found))}")
    return found.pop() if found else None


def _product(node: sp.Expr, parts: list[Axes | None]) -> Axes:
    matrix, vector = parts[0] or (), _vector(node, parts[1])
    rows_and_columns = matrix[::-1] if isinstance(node, TransposedContraction) else matrix
    if len(matrix) != 2 or vector != rows_and_columns[1:]:
        raise ProofError(f"{node} is no product of a matrix {list(matrix)} and a vector {list(vector)}")
    return rows_and_columns[:1]


def _vector(node: sp.Expr, found: Axes | None) -> Axes:
    if found is None or len(found) != 1:
        raise ProofError(f"{node} needs a vector, a number or a matrix is none")
    return found


def uniform(program: Program, tied: Collection[sp.Symbol]) -> frozenset[sp.Symbol]:
    """Vectors with one value in all units: made, unit by unit, of parameters whose rows are all equal.

    Raises:
        ProofError: the program has no such parameter.
    """
    for symbol in tied:
        if symbol not in program.parameters:
            raise ProofError(f"{symbol} cannot be tied, the reference has no such parameter")
    found = {symbol for symbol in tied if len(program.inputs[symbol].axes) == 1}
    for statement in program:
        rows_equal = isinstance(statement, Contract) and all(
            product.matrix in tied and not product.transposed for product in statement.terms
        )
        if rows_equal or (isinstance(statement, Pointwise) and statement.reads <= found):
            found.add(statement.target)
    return frozenset(found)


def check_mask(
    symbol: sp.Symbol, image: sp.Expr, own: Collection[sp.Symbol], others: Collection[sp.Symbol]
) -> None:
    """Check that a mask is related to a mask, 0 or 1, and nothing else to a mask.

    Raises:
        ProofError: it is not so.
    """
    if symbol in own and image not in others and image not in (0, 1):
        raise ProofError(f"{symbol} is a mask, but related to {image}, which is none of the reference")
    if symbol not in own and image.free_symbols & set(others):
        raise ProofError(f"{symbol} is no mask, but related to {image}, which is one of the reference")
