"""Filter expressions, ``source~manual and page<10``: read, written, and applied in Python.

    expression = term (("and" | "or") term)*        "and" binds tighter
    term       = "not" term | "(" expression ")" | condition
    condition  = field operator value | field "in" "(" value ("," value)* ")"
    operator   = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~"      (~ contains, any case)

A field is a name of the passage's metadata (``source``, ``page``, ``heading``, ``language``, ...),
with dots to reach inside. A value is a number, ``true``, ``false``, a bare word, or text in quotes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from oss.contracts.errors import UsageError
from oss.contracts.filters import AllOf, AnyOf, Compare, Filter, Not, OneOf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oss.contracts.filters import Operator, Scalar

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<operator><=|>=|!=|==|[<>=~])
      | (?P<mark>[(),])
      | (?P<word>[^\s()<>=!~,"']+)
    )""",
    re.VERBOSE,
)
_DEEPEST = 50  # brackets and "not" inside each other
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


class _Reader:
    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.tokens: list[tuple[str, str, int]] = []
        position = 0
        end = len(expression.rstrip())
        while position < end:
            match = _TOKEN.match(expression, position)
            if match is None:
                raise self.error(position, "cannot be read")
            self.tokens.append((match.lastgroup or "", match[match.lastgroup or 0], match.start()))
            position = match.end()
        self.at = 0
        self.depth = 0

    def error(self, position: int, why: str) -> UsageError:
        rest = self.expression[position:].strip() or "end"
        return UsageError(
            f"filter {self.expression!r} {why} at {rest[:30]!r}",
            hint="write it like: source~manual and (page<10 or heading='Getting started')",
        )

    def fail(self, why: str) -> UsageError:
        position = self.tokens[self.at][2] if self.at < len(self.tokens) else len(self.expression)
        return self.error(position, why)

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at][:2] if self.at < len(self.tokens) else ("end", "")

    def take(self, kind: str, *texts: str) -> str | None:
        found, text = self.peek()
        if found == kind and (not texts or text.lower() in texts):
            self.at += 1
            return text
        return None

    def joined(self, word: str) -> Filter:
        parts = [self.joined("and") if word == "or" else self.term()]
        while self.take("word", word):
            parts.append(self.joined("and") if word == "or" else self.term())
        if len(parts) == 1:
            return parts[0]
        return AnyOf(tuple(parts)) if word == "or" else AllOf(tuple(parts))

    def term(self) -> Filter:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self.fail("is nested too deeply")
        try:
            return self._term()
        finally:
            self.depth -= 1

    def _term(self) -> Filter:
        if self.take("word", "not"):
            return Not(self.term())
        if self.take("mark", "("):
            inside = self.joined("or")
            if not self.take("mark", ")"):
                raise self.fail("lacks a ')'")
            return inside
        field = self.take("word")
        if field is None:
            raise self.fail("has no field")
        if self.take("word", "in"):
            return self.choice(field)
        operator = self.take("operator")
        if operator is None:
            raise self.fail("has no operator")
        value = self.value()
        operator = "=" if operator == "==" else operator
        if operator == "~" and not isinstance(value, str):
            value = str(value)
        return Compare(field, cast("Operator", operator), value)

    def choice(self, field: str) -> Filter:
        if not self.take("mark", "("):
            raise self.fail("lacks a '(' after 'in'")
        values = [self.value()]
        while self.take("mark", ","):
            values.append(self.value())
        if not self.take("mark", ")"):
            raise self.fail("lacks a ')'")
        return OneOf(field, tuple(values))

    def value(self) -> Scalar:
        if (text := self.take("text")) is not None:
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        word = self.take("word")
        if word is None:
            raise self.fail("has no value")
        if word.lower() in ("true", "false"):
            return word.lower() == "true"
        if _NUMBER.fullmatch(word):
            return float(word) if re.search(r"[.eE]", word) else int(word)
        return word


def parse_filter(expression: str) -> Filter:
    """The filter that a text such as ``source~manual and page<10`` means.

    :raises UsageError: it cannot be read; the message shows where.
    """
    reader = _Reader(expression)
    if not reader.tokens:
        raise UsageError("the filter is empty", hint="leave it out, or write e.g. source~manual")
    found = reader.joined("or")
    if reader.peek()[0] != "end":
        raise reader.fail("cannot be read")
    return found


def fields_of(where: Filter) -> set[str]:
    """The metadata fields that a filter asks for."""
    if isinstance(where, Compare | OneOf):
        return {where.field}
    if isinstance(where, Not):
        return fields_of(where.part)
    return {name for part in where.parts for name in fields_of(part)}


def field_value(metadata: Mapping[str, Any], field: str) -> Any:
    """The value of a field, dots reaching inside; ``None`` where it is not."""
    if field in metadata:
        return metadata[field]
    value: Any = metadata
    for name in field.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def holds(where: Filter, metadata: Mapping[str, Any]) -> bool:
    """Whether a filter holds for metadata. A list holds where any of its values does."""
    if isinstance(where, AllOf):
        return all(holds(part, metadata) for part in where.parts)
    if isinstance(where, AnyOf):
        return any(holds(part, metadata) for part in where.parts)
    if isinstance(where, Not):
        return not holds(where.part, metadata)
    found = field_value(metadata, where.field)
    values = found if isinstance(found, list) else [found]
    if isinstance(where, OneOf):
        return any(_equal(value, wanted) for value in values for wanted in where.values)
    if where.operator == "!=":
        return not any(_equal(value, where.value) for value in values)
    return any(_compare(value, where.operator, where.value) for value in values)


def _equal(value: Any, wanted: Scalar) -> bool:
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _compare(value: Any, operator: str, wanted: Scalar) -> bool:
    if value is None:
        return False
    if operator == "=":
        return _equal(value, wanted)
    if operator == "~":
        return str(wanted).casefold() in str(value).casefold()
    number = isinstance(value, int | float) and isinstance(wanted, int | float)
    if not number and not (isinstance(value, str) and isinstance(wanted, str)):
        return False
    if operator == "<":
        return bool(value < wanted)
    if operator == "<=":
        return bool(value <= wanted)
    if operator == ">":
        return bool(value > wanted)
    return bool(value >= wanted)
