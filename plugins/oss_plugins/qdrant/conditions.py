"""Filters in Qdrant's words. Both clients have the same words in classes of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oss.contracts.filters import AllOf, AnyOf, Compare, Filter, Not, OneOf
from oss.retrieval.filters import holds
from oss_plugins.qdrant.fields import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True)
class Words:
    """The classes of one client.

    :param group: makes a filter of ``must=``, ``should=``, ``must_not=``.
    :param equals: of a key and a value; ``one_of`` of a key and strings or integers.
    :param between: of a key and ``lt=``, ``lte=``, ``gt=``, ``gte=``.
    :param nothing: a condition that never holds.
    :param values: the distinct values of a metadata field.
    """

    group: Callable[..., Any]
    equals: Callable[[str, Any], Any]
    one_of: Callable[[str, list[Any]], Any]
    between: Callable[..., Any]
    nothing: Callable[[], Any]
    values: Callable[[str], Iterable[str | int | bool]]


_BOUNDS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


def translate(where: Filter, words: Words) -> Any:
    """The filter as the client's own objects."""
    if isinstance(where, AllOf):
        return words.group(must=[translate(part, words) for part in where.parts])
    if isinstance(where, AnyOf):
        if not where.parts:
            return words.group(must=[words.nothing()])
        return words.group(should=[translate(part, words) for part in where.parts])
    if isinstance(where, Not):
        return words.group(must_not=[translate(where.part, words)])
    if isinstance(where, OneOf):
        return translate(AnyOf(tuple(Compare(where.field, "=", v) for v in where.values)), words)
    if where.operator == "!=":
        same = Compare(where.field, "=", where.value)
        return words.group(must_not=[translate(same, words)])
    return words.group(must=[_condition(where, words)])


def _condition(where: Compare, words: Words) -> Any:
    key, value = key_of(where.field), where.value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if where.operator == "=":
        return words.between(key, gte=value, lte=value) if number else words.equals(key, value)
    if number and where.operator in _BOUNDS:
        return words.between(key, **{_BOUNDS[where.operator]: value})
    # Qdrant compares and searches no plain strings: look the values through here, which are as
    # many as there are sources, not chunks.
    fitting = [v for v in words.values(where.field) if holds(where, {where.field: v})]
    if not fitting:
        return words.nothing()
    if all(isinstance(v, str) for v in fitting) or all(type(v) is int for v in fitting):
        return words.one_of(key, fitting)
    return words.group(should=[words.equals(key, v) for v in fitting])
