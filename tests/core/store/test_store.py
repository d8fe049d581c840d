from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oss.contracts.chat import Timings, Usage
from oss.contracts.errors import UsageError
from oss.contracts.messages import Message, ToolCall
from oss.contracts.retriever import Passage
from oss.store import Setup, Store, title_of

if TYPE_CHECKING:
    from pathlib import Path

SETUP = Setup("base", "0" * 64, "file:/m.gguf", "fake", "критик")


def say(store: Store, conversation: int, prompt: str, answer: str | None) -> int:
    turn = store.begin_turn(conversation, Message("user", prompt), SETUP)
    if answer is not None:
        messages = [Message("user", prompt), Message("assistant", answer)]
        store.end_turn(turn, "done", messages, finish_reason="stop")
    return turn


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / "deep" / "c.db") as opened:
        yield opened


def test_turn_comes_back_whole(store: Store) -> None:
    conversation = store.create("Разговор")
    messages = [
        Message("user", "Который час?"),
        Message("assistant", "", tool_calls=(ToolCall("1", "now", '{"zone": "Europe/Moscow'),)),
        Message("tool", "10:00", tool_call_id="1"),
        Message("assistant", "Десять.", reasoning="Часы показывают десять."),
    ]
    passage = Passage("текст", "файл.md", (3, 8), 0.5, {"page": 2})
    turn_id = store.begin_turn(conversation, messages[0], SETUP)
    usage, timings = Usage(10, 5, 3), Timings(1.0, 0.2, 0.1, 0.4)
    store.end_turn(
        turn_id,
        "done",
        messages,
        passages=[passage],
        finish_reason="stop",
        usage=usage,
        timings=timings,
    )
    [turn] = store.turns(conversation)
    assert turn.messages == tuple(messages)
    assert turn.passages == (passage,)
    assert (turn.usage, turn.timings, turn.setup) == (usage, timings, SETUP)
    assert (turn.state, turn.finish_reason, turn.answer) == ("done", "stop", "Десять.")
    assert store.turn(turn_id) == turn
    shown = store.conversation(conversation)
    assert (shown.turns, shown.profile, shown.model) == (1, "base", "file:/m.gguf")


def test_begun_turn_is_kept_but_is_no_history(store: Store) -> None:
    conversation = store.create("t")
    say(store, conversation, "one", "1")
    say(store, conversation, "two", None)
    say(store, conversation, "three", "3")
    assert [t.state for t in store.turns(conversation)] == ["done", "running", "done"]
    assert [m.content for m in store.history(conversation)] == ["one", "1", "three", "3"]


def test_last_is_the_one_written_to_last(store: Store) -> None:
    assert store.last() is None
    first, second = store.create("a"), store.create("b")
    say(store, second, "x", "y")
    say(store, first, "x", "y")
    last = store.last()
    assert last is not None
    assert last.id == first
    assert [c.id for c in store.conversations()] == [first, second]
    assert [c.id for c in store.conversations(limit=1, offset=1)] == [second]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("ёжик", 1),
        ("ТУМАН", 1),
        ("тум", 1),
        ("ёж тума", 1),
        ("ёж лошадь", 0),
        ("fog", 1),
        ('fog" OR "x', 0),
        ("-fog*", 1),
        ("", 0),
        ('"(', 0),
    ],
)
def test_search(store: Store, query: str, found: int) -> None:
    conversation = store.create("сказка")
    say(store, conversation, "Где Ёжик?", "Ёжик в тумане, in the FOG.")
    say(store, conversation, "Кто ещё?", "Медвежонок.")
    assert len(store.search(query)) == found


def test_search_shows_the_words_and_finds_titles(store: Store) -> None:
    conversation = store.create("Про медведя")
    turn = say(store, conversation, "Кто?", "Большой медведь.")
    title, hit = store.search("медвед")
    assert (title.turn_id, title.excerpt) == (None, "Про \x02медведя\x03")
    assert (hit.turn_id, hit.excerpt) == (turn, "Большой \x02медведь\x03.")
    store.rename(conversation, "Про слона")
    assert [h.turn_id for h in store.search("медвед")] == [turn]
    assert store.search("слон")[0].title == "Про слона"


def test_fork_shares_and_diverges(store: Store) -> None:
    original = store.create("t")
    first = say(store, original, "one", "1")
    say(store, original, "two", "2")
    fork = store.fork(first, "branch")
    say(store, fork, "other", "3")
    assert [m.content for m in store.history(original)] == ["one", "1", "two", "2"]
    assert [m.content for m in store.history(fork)] == ["one", "1", "other", "3"]


def test_deleting_the_original_leaves_the_fork_whole(store: Store) -> None:
    original = store.create("t")
    first = say(store, original, "one", "1")
    say(store, original, "two", "2")
    fork = store.fork(first)
    second_fork = store.fork(first)
    store.delete(original)
    assert [m.content for m in store.history(fork)] == ["one", "1"]
    assert store.search("two") == []
    store.delete(fork)
    assert [m.content for m in store.history(second_fork)] == ["one", "1"]
    store.delete(second_fork)
    assert store.search("one") == []
    with pytest.raises(UsageError, match="no turn"):
        store.turn(first)


def test_rewind_makes_a_branch(store: Store) -> None:
    conversation = store.create("t")
    first = say(store, conversation, "one", "1")
    second = say(store, conversation, "two", "2")
    store.rewind(conversation, first)
    say(store, conversation, "two again", "3")
    assert [t.prompt for t in store.turns(conversation)] == ["one", "two again"]
    assert store.turn(second).answer == "2"
    store.rewind(conversation, None)
    assert store.turns(conversation) == []
    with pytest.raises(UsageError, match="is not in conversation"):
        store.rewind(conversation, second)


def test_summaries_go_with_their_conversation(store: Store) -> None:
    conversation = store.create("t")
    assert store.summary("d") is None
    store.keep_summary(conversation, "d", "кратко")
    assert store.summary("d") == "кратко"
    store.delete(conversation)
    assert store.summary("d") is None


@pytest.mark.parametrize("method", ["conversation", "turns", "history", "delete", "turn", "fork"])
def test_unknown_id_is_named(store: Store, method: str) -> None:
    with pytest.raises(UsageError, match="41"):
        getattr(store, method)(41)


@pytest.mark.parametrize(
    ("prompt", "title"),
    [("\n\n  Привет,   мир \nещё", "Привет, мир"), ("", ""), ("я" * 70, "я" * 59 + "…")],
)
def test_title_of(prompt: str, title: str) -> None:
    assert title_of(prompt) == title
