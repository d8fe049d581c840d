"""The held-out part shares no question with the training part."""

from __future__ import annotations

from oss.contracts.messages import Message
from oss.data import Conversation, Origin, Text, split


def chat(question: str, answer: str = "a") -> Conversation:
    messages = (Message("user", question), Message("assistant", answer))
    return Conversation(messages, Origin("f", 1))


def test_a_question_is_never_in_both_parts() -> None:
    rows = [chat(f"q{n % 50}", f"answer {n}") for n in range(200)]
    train, held = split(rows, 0.2, seed=1)
    questions = [{row.messages[0].content for row in part} for part in (train, held)]
    assert not questions[0] & questions[1]
    assert len(train) + len(held) == 200
    assert 0 < len(held) < 100


def test_more_rows_move_no_row() -> None:
    rows = [chat(f"q{n}") for n in range(100)]
    _, before = split(rows, 0.2)
    _, after = split([*rows, *(chat(f"new{n}") for n in range(50))], 0.2)
    assert before == [row for row in after if row in rows]


def test_small_sets() -> None:
    assert split([chat("a")], 0.5) == ([chat("a")], [])
    train, held = split([chat("a"), chat("b")], 0.01)
    assert (len(train), len(held)) == (1, 1)
    assert split([chat("a"), chat("b")], 0.0)[1] == []
    text = Text("x", Origin("f", 1))
    assert split([text], 0.9)[0] == [text]
