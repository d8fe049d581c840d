from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from oss.contracts.chat import ChatRequest, Delta, ToolCallDelta
from oss.contracts.errors import UsageError
from oss.contracts.messages import Message, ToolCall, ToolSpec
from oss.engines.toolcalls import (
    CallParser,
    call_schema,
    chosen_tools,
    either_schema,
    moved,
    parsed_calls,
    told_tools,
    usable,
    whole_calls,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

ADD = ToolSpec("add", "Adds.", {"type": "object", "properties": {"a": {"type": "integer"}}})
NOW = ToolSpec("now", "The time.")
CALL = '{"tool_call": {"name": "add", "arguments": {"a": 1}}}'


def read(raw: str, size: int = 1000) -> tuple[str, list[tuple[str | None, str]]]:
    parser = CallParser()
    deltas = [
        delta for at in range(0, len(raw), size) for delta in parser.feed(raw[at : at + size])
    ] + parser.finish()
    calls = [(call.name, call.arguments) for delta in deltas for call in delta.tool_calls]
    return "".join(delta.content for delta in deltas), calls


CASES: list[tuple[str, str, list[tuple[str, str]]]] = [
    (CALL, "", [("add", '{"a": 1}')]),
    (f"```json\n{CALL}\n```", "", [("add", '{"a": 1}')]),
    (f"Сейчас. {CALL}", "Сейчас. ", [("add", '{"a": 1}')]),
    (f"{CALL}\n{CALL}", "", [("add", '{"a": 1}'), ("add", '{"a": 1}')]),
    (
        '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>',
        "",
        [("add", '{"a": 1}')],
    ),
    ('{"tool_call": {"name": "now"}}', "", [("now", "{}")]),
    ('{"tool_call": {"name": "add", "arguments": "{\\"a\\": 1}"}}', "", [("add", '{"a": 1}')]),
    ('{"tool_call": {"name": "add", "arguments": {"a": 1', "", [("add", '{"a": 1')]),
    ('{"tool_call": 7}', "", [("", "7")]),
    ('{"tool": "no call"} and {braces}', '{"tool": "no call"} and {braces}', []),
    ("```python\nx = {1: 2}\n```", "```python\nx = {1: 2}\n```", []),
    ("{", "{", []),
    ("", "", []),
]


@pytest.mark.parametrize(("raw", "text", "calls"), CASES)
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_calls_in_text(raw: str, text: str, calls: list[tuple[str, str]], size: int) -> None:
    assert read(raw, size) == (text, calls)


def test_text_is_not_held_back() -> None:
    assert [delta.content for delta in CallParser().feed("if (a < b) {\n x")] == [
        "if (a < b) {\n x"
    ]


def test_the_schema_of_a_call_keeps_references() -> None:
    spec = ToolSpec(
        "tree",
        "",
        {
            "type": "object",
            "properties": {"root": {"$ref": "#/$defs/node"}},
            "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#"}}}},
        },
    )
    schema = call_schema((spec, NOW))
    assert schema["$defs"]["tool0"]["properties"]["root"]["$ref"] == "#/$defs/tool0/$defs/node"
    assert schema["$defs"]["tool0"]["$defs"]["node"]["properties"]["next"]["$ref"] == (
        "#/$defs/tool0"
    )
    assert [each["properties"]["name"]["const"] for each in _choices(schema)] == ["tree", "now"]


def _choices(schema: dict[str, object]) -> list[dict[str, dict[str, dict[str, object]]]]:
    return schema["properties"]["tool_call"]["anyOf"]  # type: ignore[index,no-any-return]


def test_either_schema_moves_both() -> None:
    one = {"$ref": "#/$defs/x", "$defs": {"x": {"type": "string"}}}
    assert either_schema(one, {})["$defs"]["one"]["$ref"] == "#/$defs/one/$defs/x"
    assert moved({"items": [{"$ref": "https://elsewhere"}]}, "#/a") == {
        "items": [{"$ref": "https://elsewhere"}]
    }


def test_tools_are_told_in_the_system_text() -> None:
    call = ToolCall("1", "add", '{"a": 1')
    told = told_tools(
        (
            Message("system", "Ты помощник."),
            Message("user", "?"),
            Message("assistant", "", tool_calls=(call,)),
            Message("tool", "2", name="add", tool_call_id="1"),
        ),
        (ADD, NOW),
    )
    assert [message.role for message in told] == ["system", "user", "assistant", "user"]
    assert told[0].content.startswith("Ты помощник.\n")
    assert "- add: Adds." in told[0].content
    assert '"arguments": {"a": 1' in told[2].content
    assert told[3].content.endswith("\n2")
    assert told_tools((Message("user", "?"),), (ADD,))[0].role == "system"


def test_an_earlier_call_is_told_in_the_form_that_is_asked_for() -> None:
    told = told_tools(
        (Message("assistant", "", tool_calls=(ToolCall("1", "add", '{"a": 1}'),)),), ()
    )
    assert json.loads(told[0].content) == json.loads(CALL)


def test_chosen_tools() -> None:
    request = ChatRequest((), tools=(ADD, NOW), tool_choice="now")
    assert chosen_tools(request) == (NOW,)
    with pytest.raises(UsageError, match="never"):
        chosen_tools(ChatRequest((), tools=(ADD,), tool_choice="never"))


@pytest.mark.parametrize(
    ("name", "arguments", "good"),
    [
        ("add", '{"a": 1}', True),
        ("now", "", True),
        ("add", "{", False),
        ("add", "[1]", False),
        ("sub", "{}", False),
    ],
)
def test_usable(name: str, arguments: str, good: bool) -> None:
    assert usable(name, arguments, (ADD, NOW)) is good


async def stream(*deltas: Delta) -> AsyncGenerator[Delta, None]:
    for delta in deltas:
        yield delta


async def test_a_broken_call_is_asked_for_once_more() -> None:
    asked: list[str] = []

    def again(choice: str) -> AsyncGenerator[Delta, None]:
        asked.append(choice)
        return stream(
            Delta(tool_calls=(ToolCallDelta(0, "new", "add", '{"a": 2}'),)),
            Delta(finish_reason="tool_calls"),
        )

    first = stream(
        Delta(content="Сейчас."),
        Delta(tool_calls=(ToolCallDelta(0, "id0", "add", '{"a"'),)),
        Delta(tool_calls=(ToolCallDelta(0, arguments=": oops"),)),
        Delta(tool_calls=(ToolCallDelta(1, "id1", "add<|channel|>", "{}"),)),
        Delta(finish_reason="stop"),
    )
    found = [delta async for delta in whole_calls(first, (ADD, NOW), again)]
    assert asked == ["add", "required"]
    calls = [call for delta in found for call in delta.tool_calls]
    assert calls == [
        ToolCallDelta(0, "id0", "add", '{"a": 2}'),
        ToolCallDelta(1, "id1", "add", '{"a": 2}'),
    ]
    assert found[-1].finish_reason == "tool_calls"


async def test_a_call_broken_twice_is_given_as_it_is() -> None:
    first = stream(
        Delta(tool_calls=(ToolCallDelta(0, None, "add", "{"),)), Delta(finish_reason="stop")
    )
    found = [d async for d in whole_calls(first, (ADD,), lambda _: stream())]
    assert found[0].tool_calls == (ToolCallDelta(0, "call_0", "add", "{"),)


async def test_a_call_cut_by_the_limit_is_not_asked_for_again() -> None:
    first = stream(
        Delta(tool_calls=(ToolCallDelta(0, None, "add", "{"),)), Delta(finish_reason="length")
    )
    found = [d async for d in whole_calls(first, (ADD,), lambda _: stream())]
    assert found == [Delta(finish_reason="length")]


async def test_parsed_calls_keep_what_else_a_delta_says() -> None:
    found = [
        delta
        async for delta in parsed_calls(
            stream(Delta(content="a "), Delta(content=CALL), Delta(finish_reason="stop"))
        )
    ]
    assert found[0].content == "a "
    assert found[1].tool_calls[0].name == "add"
    assert found[2].finish_reason == "stop"
