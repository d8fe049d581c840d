"""Conditions on a passage's metadata: a small tree that every store translates for itself."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~"]
Scalar = str | int | float | bool


class Compare(Struct, frozen=True):
    """``field operator value``. ``~`` is 'contains', whatever the case of the letters.

    A field that a passage lacks makes every comparison false but ``!=``.
    """

    field: str
    operator: Operator
    value: Scalar


class OneOf(Struct, frozen=True):
    """The field equals one of the values."""

    field: str
    values: tuple[Scalar, ...]


class AllOf(Struct, frozen=True):
    """Every part holds; no parts: always true."""

    parts: tuple[Filter, ...]


class AnyOf(Struct, frozen=True):
    """At least one part holds; no parts: never true."""

    parts: tuple[Filter, ...]


class Not(Struct, frozen=True):
    """The part does not hold."""

    part: Filter


Filter = Compare | OneOf | AllOf | AnyOf | Not
