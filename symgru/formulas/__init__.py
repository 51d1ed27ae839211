"""Check a user's own forward and backward equations, written as text, against the derivation of a cell."""

from symgru.formulas.checker import check_formulas
from symgru.formulas.document import decoded
from symgru.formulas.errors import FormulaError
from symgru.formulas.report import LineReport, Report, Status

__all__ = ["FormulaError", "LineReport", "Report", "Status", "check_formulas", "decoded"]
