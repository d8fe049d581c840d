"""Each format and back, and what has no room in one."""

from __future__ import annotations

from typing import Any

import pytest

from oss.data.converting import FORMATS, CannotError, to_record
from oss.data.editing import editable, edited
from oss.data.formats import RowError, parse
from oss.data.reading import Item, content
from oss.data.rows import Origin

HERE = Origin("f.jsonl", 1)
CHAT: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Ты — капитан."},
        {"role": "user", "content": "Привет"},
        {"role": "assistant", "content": "Ahoy!\n\nКак дела?"},
    ],
    "id": 7,
}


@pytest.mark.parametrize("form", ["messages", "prompt-completion", "alpaca", "sharegpt"])
def test_there_and_back(form: str) -> None:
    row = parse(CHAT, HERE)
    assert content(parse(to_record(row, form), HERE)) == content(row)


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "a", "chosen": "b", "rejected": "c"},
        {"prompt": "a", "completion": "b", "label": False},
        {"prompt": "a", "answer": 4},
        {"text": "Жили-были"},
        {
            "messages": [
                {"role": "user", "content": "time?"},
                {
                    "role": "assistant",
                    "content": "",
                    "reasoning_content": "hm",
                    "weight": 0,
                    "tool_calls": [{"id": "1", "function": {"name": "now", "arguments": "{}"}}],
                },
                {"role": "tool", "tool_call_id": "1", "content": "12"},
                {"role": "assistant", "content": "Noon."},
            ],
            "tools": [{"type": "function", "function": {"name": "now"}}],
        },
    ],
)
def test_every_kind_has_a_format_that_keeps_it_whole(record: dict[str, Any]) -> None:
    row = parse(record, HERE)
    forms = {
        "preference": "preference",
        "rated": "prompt-completion",
        "prompt": "prompt",
        "text": "text",
        "chat": "messages",
    }
    assert content(parse(to_record(row, forms[row.kind]), HERE)) == content(row)
    for form in FORMATS:
        try:
            back = parse(to_record(row, form), HERE)
        except CannotError:
            continue
        # What is written is no less: only the choice among two answers, or the answers
        # altogether, are what the format is there to leave out.
        assert content(back) == content(row) or (row.kind, form) in {
            ("preference", "messages"),
            ("preference", "prompt-completion"),
            ("preference", "alpaca"),
            ("preference", "sharegpt"),
            ("preference", "prompt"),
            ("rated", "prompt"),
            ("chat", "prompt"),
        }


def test_what_has_no_room_is_refused() -> None:
    several = parse(
        {"messages": [{"role": r, "content": r} for r in ("user", "assistant") * 2]}, HERE
    )
    with pytest.raises(CannotError, match="several answers"):
        to_record(several, "prompt-completion")
    with pytest.raises(CannotError, match="template"):
        to_record(several, "text")
    assert to_record(several, "alpaca")["history"] == [["user", "assistant"]]
    bad = parse({"prompt": "a", "completion": "b", "label": False}, HERE)
    with pytest.raises(CannotError, match="marked as bad"):
        to_record(bad, "messages")


def item(record: dict[str, Any]) -> Item:
    return Item(HERE, parse(record, HERE), record)


def test_a_conversation_is_edited_as_text() -> None:
    text, suffix = editable(item(CHAT))
    assert suffix == ".md"
    assert "=== assistant ===\nAhoy!\n\nКак дела?\n" in text
    changed = edited(item(CHAT), text.replace("Как дела?", "Что нового?"))
    assert changed["id"] == 7
    assert changed["messages"][2]["content"] == "Ahoy!\n\nЧто нового?"
    assert edited(item(CHAT), text)["messages"] == CHAT["messages"]


def test_the_format_stays_that_of_the_row() -> None:
    alpaca = {"instruction": "a", "input": "", "output": "b", "source": "x"}
    text, _ = editable(item(alpaca))
    assert edited(item(alpaca), text.replace("\nb", "\nc")) == {**alpaca, "output": "c"}


def test_what_text_cannot_say_is_edited_as_json() -> None:
    record = {"prompt": "а", "chosen": "б", "rejected": "в"}
    text, suffix = editable(item(record))
    assert suffix == ".json"
    assert edited(item(record), text.replace("б", "лучше"))["chosen"] == "лучше"
    for broken in ("{", '{"x": 1}'):
        with pytest.raises(RowError):
            edited(item(record), broken)
    tricky = {"messages": [{"role": "user", "content": "=== user ===\nhm"}]}
    assert editable(item(tricky))[1] == ".json"
    with pytest.raises(RowError, match="=== user ==="):
        edited(item(CHAT), "no head at all")
