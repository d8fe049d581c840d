"""Every format of training data is recognised; every fault has its file and line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.errors import UsageError
from oss.contracts.messages import Message, ToolCall
from oss.data import Conversation, Fault, Preference, Prompt, Rated, Text, read, read_usable

if TYPE_CHECKING:
    from pathlib import Path

USER, ANSWER = Message("user", "Привет"), Message("assistant", "Ahoy!")


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    return path


@pytest.mark.parametrize(
    "record",
    [
        {
            "messages": [
                {"role": "user", "content": "Привет"},
                {"role": "assistant", "content": "Ahoy!"},
            ]
        },
        {"prompt": "Привет", "completion": "Ahoy!"},
        {"instruction": "Привет", "input": "", "output": "Ahoy!"},
        {
            "conversations": [
                {"from": "human", "value": "Привет"},
                {"from": "gpt", "value": "Ahoy!"},
            ]
        },
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Привет"}]},
                {"role": "assistant", "content": "Ahoy!"},
            ]
        },
    ],
)
def test_each_chat_format_gives_the_same_conversation(tmp_path: Path, record: Any) -> None:
    (row,) = read([write(tmp_path / "набор.jsonl", record)]).rows
    assert isinstance(row, Conversation)
    assert row.messages == (USER, ANSWER)
    assert str(row.origin).endswith("набор.jsonl:1")


def test_the_digest_is_of_the_content_not_of_the_format(tmp_path: Path) -> None:
    one = write(tmp_path / "a.jsonl", {"prompt": "Привет", "completion": "Ahoy!"})
    two = tmp_path / "b.json"
    two.write_text(json.dumps([{"instruction": "Привет", "output": "Ahoy!"}]))
    three = write(tmp_path / "c.jsonl", {"prompt": "Привет", "completion": "Ahoy?"})
    assert read([one]).digest == read([two]).digest != read([three]).digest


def test_preferences_with_and_without_the_prompt_inside(tmp_path: Path) -> None:
    user, good, bad = (
        {"role": "user", "content": "Привет"},
        {"role": "assistant", "content": "Ahoy!"},
        {"role": "assistant", "content": "Hm."},
    )
    path = write(
        tmp_path / "p.jsonl",
        {"prompt": "Привет", "chosen": "Ahoy!", "rejected": "Hm."},
        {"chosen": [user, good], "rejected": [user, bad]},
        {"prompt": [user], "chosen": [user, good], "rejected": [user, bad]},
    )
    rows = read_usable([path]).rows
    for row in rows:
        assert isinstance(row, Preference)
        assert (row.prompt, row.chosen, row.rejected.content) == ((USER,), ANSWER, "Hm.")


def test_other_kinds(tmp_path: Path) -> None:
    path = write(
        tmp_path / "o.jsonl",
        {"text": "Жили-были"},
        {"prompt": "2+2", "answer": 4},
        {"prompt": "Привет", "completion": "Ahoy!", "label": False},
    )
    text, prompt, rated = read_usable([path]).rows
    assert isinstance(text, Text)
    assert text.text == "Жили-были"
    assert isinstance(prompt, Prompt)
    assert prompt.fields == {"answer": 4}
    assert isinstance(rated, Rated)
    assert rated.good is False


def test_tool_calls_and_weights(tmp_path: Path) -> None:
    call = {"id": "1", "function": {"name": "now", "arguments": {"zone": "UTC"}}}
    record = {
        "system": "Be brief.",
        "tools": [{"type": "function", "function": {"name": "now"}}],
        "messages": [
            {"role": "user", "content": "time?"},
            {"role": "assistant", "content": None, "tool_calls": [call], "weight": 0},
            {"role": "tool", "tool_call_id": "1", "content": "12:00"},
            {"role": "assistant", "content": "Noon."},
        ],
    }
    (row,) = read_usable([write(tmp_path / "t.jsonl", record)]).rows
    assert isinstance(row, Conversation)
    assert row.messages[0] == Message("system", "Be brief.")
    assert row.messages[2].tool_calls == (ToolCall("1", "now", '{"zone":"UTC"}'),)
    assert row.unlearned == {2}
    assert row.tools[0].name == "now"


def test_alpaca_with_input_and_history(tmp_path: Path) -> None:
    record = {"instruction": "Sum", "input": "1 2", "output": "3", "history": [["a", "b"]]}
    (row,) = read_usable([write(tmp_path / "a.jsonl", record)]).rows
    assert isinstance(row, Conversation)
    assert [m.content for m in row.messages] == ["a", "b", "Sum\n\n1 2", "3"]


def test_csv_with_cells_of_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text('prompt,completion\n"one\ntwo",x\nthree,y\nfour\n', "utf-8")
    dataset = read([path])
    assert [row.origin.line for row in dataset.rows] == [2, 4]
    assert [(f.origin.line, f.code) for f in dataset.faults] == [(5, "columns")]


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (b'{"messages": [', "syntax", "not JSON"),
        (b"[1]", "shape", "list, not an object"),
        (b'{"question": "a", "answer": "b"}', "format", "question, answer"),
        (b'{"messages": []}', "messages", "empty"),
        (b'{"messages": [{"role": "pirate", "content": "x"}]}', "role", "pirate"),
        (b'{"messages": [{"role": "user", "content": 3}]}', "content", "int, not text"),
        (b'{"messages": ["hi"]}', "message", "str, not a message"),
        (b'{"messages": [{"role": "user", "content": [{"type": "image"}]}]}', "content", "image"),
        (b'{"prompt": "a", "completion": "\xff"}', "encoding", "not UTF-8"),
        (b'{"chosen": "a", "rejected": "b"}', "prompt", "no prompt"),
        (b'{"messages": [{"role": "assistant", "tool_calls": [{}]}]}', "tools", "no function"),
    ],
)
def test_a_broken_row_names_its_line_and_spares_the_rest(
    tmp_path: Path, line: bytes, code: str, words: str
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"prompt": "a", "completion": "b"}\n\n' + line + b'\n{"text": "c"}\n')
    dataset = read([path])
    (fault,) = dataset.faults
    assert len(dataset.rows) == 2
    assert (fault.origin.line, fault.code) == (3, code)
    assert words in fault.message
    with pytest.raises(UsageError, match=r"x\.jsonl:3"):
        read_usable([path])


def test_broken_json_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('[\n {"text": "a"},\n {"text": }\n]')
    (fault,) = read([path]).faults
    assert (fault.origin.line, fault.code) == (3, "syntax")


@pytest.mark.parametrize(
    ("name", "words"),
    [("gone.jsonl", "no such file"), ("x.docx", "not read"), ("e.jsonl", "no usable")],
)
def test_a_file_that_gives_nothing(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "x.docx").write_bytes(b"PK")
    (tmp_path / "e.jsonl").write_text("\n\n")
    with pytest.raises(UsageError, match=words):
        read_usable([tmp_path / name])


def test_one_object_is_one_row_and_a_wrapper_is_opened(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('{"text": "a"}')
    (tmp_path / "many.json").write_text('{"data": [{"text": "a"}, {"text": "b"}]}')
    (tmp_path / "chat.json").write_text('{"messages": [{"role": "user", "content": "a"}]}')
    counts = [len(read([tmp_path / n]).rows) for n in ("one.json", "many.json", "chat.json")]
    assert counts == [1, 2, 1]


def test_a_fault_reads_as_file_line_message() -> None:
    from oss.data import Origin

    assert str(Fault(Origin("a.jsonl", 7), "x", "is broken")) == "a.jsonl:7: is broken"
    assert str(Origin("a.parquet", 7, "row")) == "a.parquet row 7"
