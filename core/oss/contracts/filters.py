"""Conditions on a passage's metadata: a small tree that every store translates for itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~"]
Scalar = str | int | float | bool


@dataclass(frozen=True)
class Compare:
    """``field operator value``. ``~`` is 'contains', whatever the case of the letters.

    A field that a passage lacks makes every comparison false but ``!=``.
    """

    field: str
    operator: Operator
    value: Scalar


@dataclass(frozen=True)
class OneOf:
    """The field equals one of the values."""

    field: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class AllOf:
    """Every part holds; no parts: always true."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True)
class AnyOf:
    """At least one part holds; no parts: never true."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True)
class Not:
    """The part does not hold."""

    part: Filter


Filter = Compare | OneOf | AllOf | AnyOf | Not
