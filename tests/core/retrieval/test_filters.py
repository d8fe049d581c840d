"""Filter expressions: what they mean, and what is said of broken ones."""

from __future__ import annotations

import pytest

from oss.contracts.errors import UsageError
from oss.contracts.filters import AllOf, AnyOf, Compare, Not, OneOf
from oss.retrieval.filters import fields_of, holds, parse_filter


def test_and_binds_tighter_than_or() -> None:
    assert parse_filter("source~manual and page<10 or draft=true") == AnyOf(
        (
            AllOf((Compare("source", "~", "manual"), Compare("page", "<", 10))),
            Compare("draft", "=", True),
        )
    )


def test_values_have_the_types_they_look_like() -> None:
    assert parse_filter('a in (1, 2.5, \'x y\', "кавычка \\" внутри", да)') == OneOf(
        "a", (1, 2.5, "x y", 'кавычка " внутри', "да")
    )
    assert parse_filter("version~3") == Compare("version", "~", "3")


def test_not_and_brackets() -> None:
    assert parse_filter("not (a=1 or not b=2)") == Not(
        AnyOf((Compare("a", "=", 1), Not(Compare("b", "=", 2))))
    )
    assert fields_of(parse_filter("not (a=1 or b in (2)) and c.d>1")) == {"a", "b", "c.d"}


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("", "empty"),
        ("(" * 60 + "a=1" + ")" * 60, "nested too deeply"),
        ("not " * 2000 + "a=1", "nested too deeply"),
        ("source", "no operator at 'end'"),
        ("source~", "no value"),
        ("(source~a", r"lacks a '\)'"),
        ("source~a page<1", "at 'page<1'"),
        ("~manual", "no field"),
        ("a in 1", r"lacks a '\('"),
        ("a ! b", "cannot be read at '! b'"),
        ("a='open", "cannot be read"),
    ],
)
def test_broken_ones_say_where(expression: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_filter(expression)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("source~РУКОВОД", True),
        ("page=2 and page<=2 and page>1", True),
        ("page=2.0", True),
        ("draft=1", False),
        ("missing!=1", True),
        ("missing<1", False),
        ("page<z", False),
        ("tags=b", True),
        ("deep.x=1", True),
        ("deep.y=1", False),
    ],
)
def test_what_holds(expression: str, expected: bool) -> None:
    metadata = {
        "source": "Руководство.md",
        "page": 2,
        "draft": True,
        "tags": ["a", "b"],
        "deep": {"x": 1},
    }
    assert holds(parse_filter(expression), metadata) is expected
