"""Replace 1 − σ(a) by σ(−a): the same number, without cancellation.

In float32, 1 − σ(a) rounds to 0 from about a = 17, where σ(−a) is still 4·10⁻⁸. With both gates
computed this way the two polarities of the GRU are bit-identical under the change of sign, since
negation is exact and rounding is symmetric. Equality in exact arithmetic is the lemma
`sigmoid reflection` of `symgru.proof`.
"""

from __future__ import annotations

import sympy as sp

from symgru.equations import Pointwise, Program, Statement, sigmoid


def with_complements(program: Program, *, every: bool = False) -> Program:
    """The same program with a complementary gate for every gate v = σ(a) that is used as 1 − v.

    Args:
        program: Any program.
        every: Also for gates that are not used so: the derivative of each has its complement as a factor.
    """
    replacement: dict[sp.Expr, sp.Symbol] = {}
    statements: list[Statement] = []
    for statement in program:
        if isinstance(statement, Pointwise):
            statement = Pointwise(statement.target, statement.expression.xreplace(replacement))
        statements.append(statement)
        if (
            isinstance(statement, Pointwise)
            and isinstance(statement.expression, sigmoid)
            and (every or _read_as_complement(program, statement.target))
        ):
            complement = sp.Symbol(f"{statement.target}_complement", real=True)
            statements.append(Pointwise(complement, sigmoid(-statement.expression.args[0])))
            replacement[1 - statement.target] = complement
    return Program(program.inputs, tuple(statements), program.outputs)


def _read_as_complement(program: Program, gate: sp.Symbol) -> bool:
    return any(isinstance(s, Pointwise) and s.expression.has(1 - gate) for s in program)
