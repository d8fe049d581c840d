"""What stops a training run before it begins, with its line."""

from __future__ import annotations

import random

import pytest

from oss.contracts.errors import UsageError
from oss.contracts.messages import Message
from oss.data import Conversation, Origin, split
from oss.data.near import has_library
from oss.data.preflight import preflight


def chat(line: int, question: str, answer: str = "Хорошо.") -> Conversation:
    messages = (Message("user", question), Message("assistant", answer))
    return Conversation(messages, Origin("примеры.jsonl", line))


def test_good_rows_pass() -> None:
    assert preflight([chat(1, "Кто ты?"), chat(2, "Где ты?")]) == ()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (chat(7, "q", ""), "messages[1], the assistant's, is empty"),
        (chat(7, "q", "AKIAIOSFODNN7ABCDEFG is the key"), "AWS"),
        (
            Conversation(
                (Message("assistant", "a"), Message("user", "b"), Message("assistant", "c")),
                Origin("примеры.jsonl", 7),
            ),
            "the assistant speaks before the user",
        ),
    ],
)
def test_an_error_stops_it_with_its_line(row: Conversation, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        preflight([chat(1, "good"), row])
    assert caught.value.message.startswith("примеры.jsonl:7: ")
    assert words in caught.value.message
    assert "oss data filter" in str(caught.value.hint)


def test_errors_of_the_held_out_part_count_too() -> None:
    with pytest.raises(UsageError, match="is empty"):
        preflight([chat(1, "good")], [chat(2, "other", " ")])


def test_doubts_are_said_once_for_each_kind() -> None:
    rows = [chat(n, f"question {n}", f"mail bob{n}@ship.org") for n in range(1, 4)]
    (line,) = preflight(rows)
    assert line.startswith("примеры.jsonl:1: ")
    assert "3 in all" in line


def test_a_question_of_the_held_out_part_is_a_leak() -> None:
    with pytest.raises(UsageError, match=r"примеры.jsonl:2: asks what примеры.jsonl:9") as caught:
        preflight([chat(1, "Кто?"), chat(2, "  КТО ты? ")], [chat(9, "кто ты?")])
    assert "oss data split" in str(caught.value.hint)


@pytest.mark.skipif(not has_library(), reason="needs rensa")
def test_nearly_the_same_question_leaks_neither_by_hand_nor_by_the_draw() -> None:
    long = "How do I repair the tyre of my old bicycle when it is raining outside{}"
    with pytest.raises(UsageError, match="asks nearly what"):
        preflight([chat(1, long.format("!"))], [chat(9, long.format("?"))])
    draw = random.Random(0)
    texts = ["".join(draw.choices("абвгдежзик ", k=60)) for _ in range(20)]
    rows = [chat(n, texts[n // 2] + "!?"[n % 2]) for n in range(40)]
    train, held = split(rows, 0.3)
    assert train
    assert held
    asked = [{row.messages[0].content[:-1] for row in part} for part in (train, held)]
    assert not asked[0] & asked[1]
