"""What is said of single rows and of whole sets."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from oss.data.checker import Checker
from oss.data.checking import CODES
from oss.data.formats import RowError, parse
from oss.data.reading import Item
from oss.data.rows import Fault, Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

U, A, S = "user", "assistant", "system"
WORDS = [f"слово{n}" for n in range(300)]


def item(record: Any, line: int = 1) -> Item:
    origin = Origin("f.jsonl", line)
    try:
        return Item(origin, parse(record, origin), record)
    except RowError as error:
        return Item(origin, Fault(origin, error.code, str(error)), record)


def chat(*turns: tuple[str, str], **rest: Any) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": text} for role, text in turns], **rest}


def codes(records: Sequence[Any], *, near: bool = False) -> list[tuple[int, str]]:
    checker = Checker(near=near)
    faults = [f for n, r in enumerate(records, 1) for f in checker.feed(item(r, n))]
    faults += checker.finish()
    assert {fault.code for fault in faults} <= CODES.keys()
    return [(fault.origin.line, fault.code) for fault in faults]


CALL = {"id": "1", "function": {"name": "now", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        (chat((U, "да"), (A, "нет")), []),
        (chat((S, "s"), (U, "a"), (A, "b"), (U, "c"), (A, "d")), []),
        (
            {
                "messages": [
                    {"role": U, "content": "a"},
                    {"role": A, "content": "", "tool_calls": [CALL]},
                    {"role": "tool", "tool_call_id": "1", "content": "12"},
                    {"role": A, "content": "12"},
                ]
            },
            [],
        ),
        (chat((U, "a"), (U, "b"), (A, "c")), ["role-order"]),
        (chat((A, "a"), (U, "b"), (A, "c")), ["role-order"]),
        (chat((U, "a"), (S, "b"), (A, "c")), ["role-order"]),
        (chat((U, "a"), ("tool", "b"), (A, "c")), ["role-order"]),
        (
            {
                "messages": [
                    {"role": U, "content": "a"},
                    {"role": A, "tool_calls": [CALL]},
                    {"role": "tool", "tool_call_id": "2", "content": "12"},
                    {"role": A, "content": "12"},
                ]
            },
            ["role-order"],
        ),
        (chat((U, "a")), ["no-answer"]),
        (chat((U, "a"), (A, "b"), (U, "c")), ["no-answer"]),
        (chat((U, "a"), (A, " \n")), ["empty-answer"]),
        (chat((U, " "), (A, "b")), ["empty-message"]),
        (chat((U, "a"), (A, "b <|im_end|>")), ["control-token"]),
        (chat((U, "a"), (A, "пишите на ivan@mail.ru")), ["personal"]),
        ({"text": " "}, ["empty-answer"]),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, ["same-answers"]),
        ({"prompt": "a", "chosen": "b", "rejected": ""}, ["empty-answer"]),
        ({"prompt": " ", "completion": "b", "label": True}, ["prompt"]),
        ({"messages": 3}, ["messages"]),
    ],
)
def test_one_row(record: Any, wanted: list[str]) -> None:
    assert [code for _, code in codes([record])] == wanted


def sentence(seed: int, words: int = 20) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words)) + f" {seed}"


def test_duplicates_whatever_the_case_and_space() -> None:
    rows = [
        chat((U, "Привет,  мир"), (A, "Ahoy")),
        chat((U, "x"), (A, "y")),
        chat((U, "ПРИВЕТ, мир "), (A, "ahoy")),
    ]
    assert codes(rows) == [(3, "duplicate")]


def test_near_duplicates_are_found_and_named() -> None:
    pytest.importorskip("rensa")
    rows = [chat((U, sentence(n)), (A, sentence(n + 1000))) for n in range(200)]
    text = rows[50]["messages"][1]["content"]
    rows.append(chat((U, sentence(50)), (A, text.replace(" 1050", "!"))))
    assert codes(rows, near=True) == [(201, "near-duplicate")]


def test_leaks_from_the_held_out_part() -> None:
    pytest.importorskip("rensa")
    checker = Checker(near=True)
    checker.hold_out(item(chat((U, sentence(1)), (A, "held"))))
    checker.hold_out(item(chat((U, "Кто ты?"), (A, "held")), 2))
    found = [
        [fault.code for fault in checker.feed(item(chat((U, text), (A, f"a{n}")), n))]
        for n, text in enumerate([sentence(1) + ".", "кто  ты?", sentence(2)])
    ]
    assert found == [["leak"], ["leak"], []]


def test_mixed_kinds() -> None:
    rows = [chat((U, "a"), (A, "b")), chat((U, "c"), (A, "d")), {"text": "e"}, {"text": "f"}]
    assert codes([*rows, chat((U, "g"), (A, "h"))]) == [(3, "kinds")]


def test_unusual_lengths() -> None:
    rows = [chat((U, f"q{n}"), (A, sentence(n, 15 + n % 10))) for n in range(60)]
    rows[7] = chat((U, "q7"), (A, sentence(7, 900)))
    rows[9] = chat((U, "q9"), (A, "ок"))
    assert codes(rows) == [(8, "length"), (10, "length")]
    assert codes(rows[:20]) == []  # too few to say what is usual


def test_unusual_scripts_and_languages() -> None:
    pytest.importorskip("py3langid")
    rows = [
        chat((U, f"q{n}"), (A, f"This is an ordinary English sentence about ships, number {n}."))
        for n in range(60)
    ]
    rows[3] = chat((U, "q3"), (A, "Это обычное русское предложение о кораблях и о море, вот."))
    rows[5] = chat((U, "q5"), (A, "Das ist ein ganz gewöhnlicher deutscher Satz über Schiffe."))
    assert codes(rows) == [(4, "language"), (6, "language")]
