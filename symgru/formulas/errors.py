"""What can be wrong with a text: always said with line and column, never as a traceback."""

from __future__ import annotations


class FormulaError(ValueError):
    """Text that is refused or cannot be read; the message says what was expected and what came.

    Attributes:
        message: What is wrong.
        line, column: Where, counted from 1; 0 where it is not known.
    """

    def __init__(self, message: str, line: int = 0, column: int = 0):
        super().__init__(message)
        self.message, self.line, self.column = message, line, column

    def at(self, line: int, column: int = 0) -> FormulaError:
        """The same error with a place, unless it has one."""
        return type(self)(self.message, self.line or line, self.column or column)

    def __str__(self) -> str:
        places = (("line", self.line), ("column", self.column))
        place = ", ".join(f"{name} {number}" for name, number in places if number)
        return f"{place}: {self.message}" if place else self.message


class ShapeError(FormulaError):
    """An equation that is wrong because the shapes of its parts cannot fit."""
