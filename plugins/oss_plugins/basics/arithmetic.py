"""The tool ``calculate``."""

from __future__ import annotations

import ast
import operator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import UsageError
from oss.contracts.messages import ToolSpec
from oss.contracts.tool import Tool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST = 1000
"""Characters of an expression."""
LARGEST_BITS = 20_000
"""Of any number on the way: a power can ask for more memory than there is."""

_BINARY: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda a, b: Fraction(a // b),
    ast.Mod: operator.mod,
}


class Calculate(Tool):
    """Arithmetic with + - * / // % ** and parentheses, in exact fractions; nothing is run."""

    spec = ToolSpec(
        "calculate",
        "Evaluate an arithmetic expression exactly: + - * / // % ** and parentheses.",
        {
            "type": "object",
            "properties": {"expression": {"type": "string"}},
            "required": ["expression"],
            "additionalProperties": False,
        },
    )
    safe = True

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """The value: an integer, or a decimal number of 15 digits."""
        expression = str(arguments["expression"])
        if len(expression) > LONGEST:
            raise UsageError(f"the expression is longer than {LONGEST} characters")
        try:
            value = _value(ast.parse(expression.strip(), mode="eval").body)
        except (SyntaxError, RecursionError, MemoryError) as error:
            raise UsageError(f"not an arithmetic expression: {expression}") from error
        except ZeroDivisionError as error:
            raise UsageError("division by zero") from error
        if value.denominator == 1:
            return _integer_text(value.numerator)
        try:
            return f"{float(value):.15g}"
        except OverflowError as error:
            raise UsageError("the result is too large") from error


def _integer_text(number: int) -> str:
    try:
        return str(number)
    except ValueError as error:  # Python limits the digits it writes
        raise UsageError("the result is too large") from error


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            if number == float("inf"):
                raise UsageError("a number is too large")
            # As it is written: 0.1 is a tenth.
            return Fraction(str(number))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left), _value(right))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _limited(_BINARY[type(op)](_value(left), _value(right)))
        case _:
            raise UsageError(f"only numbers and + - * / // % ** are known, not {ast.unparse(node)}")


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        try:
            root = float(base) ** float(exponent)
        except OverflowError as error:
            raise UsageError("the result is too large") from error
        if isinstance(root, complex):
            raise UsageError("the result is no real number")
        return Fraction(root)
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if bits * abs(exponent.numerator) > LARGEST_BITS:
        raise UsageError("the result is too large")
    return Fraction(base**exponent.numerator)


def _limited(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > LARGEST_BITS:
        raise UsageError("the result is too large")
    return value
