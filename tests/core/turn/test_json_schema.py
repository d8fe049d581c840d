from __future__ import annotations

import json

import pytest

from oss.contracts.errors import UsageError
from oss.turn.json_schema import problem_with, read_schema


def test_short_form() -> None:
    schema = read_schema("name, age int, теги [str]: метки\nscore float, ok bool", "--schema")
    assert schema["required"] == ["name", "age", "теги", "score", "ok"]
    assert schema["properties"]["age"] == {"type": "integer"}
    assert schema["properties"]["теги"] == {
        "type": "array",
        "items": {"type": "string"},
        "description": "метки",
    }
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("age inta", "unknown type 'inta'"),
        ("a, a int", "twice"),
        (" , ", "empty"),
        ('{"type": "objec"}', "at type: 'objec' is not valid"),
        ('{"properties": []}', "at properties"),
        ('{"type": ', "line 1"),
        ('{"$schema": "x", "type": 3}', "not a JSON Schema"),
    ],
)
def test_broken_schema(text: str, why: str) -> None:
    with pytest.raises(UsageError, match="--schema") as caught:
        read_schema(text, "--schema")
    assert why in caught.value.message
    assert "\n" not in caught.value.message


def test_answers() -> None:
    schema = read_schema("имя, age int", "s")
    assert problem_with('{"имя": "Аня", "age": 3}', schema) is None
    assert "age" in (problem_with('{"имя": "Аня", "age": "3"}', schema) or "")
    assert "required" in (problem_with('{"имя": "Аня"}', schema) or "")
    assert "not JSON" in (problem_with("{", schema) or "")


def test_reference_is_never_fetched() -> None:
    schema = {"$ref": "http://127.0.0.1:9/schema.json"}
    assert "not in it" in (problem_with(json.dumps(1), schema) or "")
