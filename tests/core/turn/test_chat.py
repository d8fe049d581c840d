"""The chat and what it leaves in the store."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.errors import BackendError, CapabilityError
from oss.contracts.messages import Message
from oss.hookspecs import hookimpl
from oss.store import Store
from oss.testing.fakes import FakeAnswer
from oss.turn.chat import Chat, StoredSummaries
from oss.turn.events import Done, Notice, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def store(oss_home: Any) -> Iterator[Store]:
    with Store() as opened:
        yield opened


async def test_turns_follow_each_other_and_are_kept(
    bench: Any, gathered: Callable[..., Any], store: Store
) -> None:
    bench.script("раз", "два")
    async with bench.open() as session:
        chat = Chat(session, store)
        await gathered(chat.say("Первый вопрос"))
        await gathered(chat.say("Второй"))
    assert [m.content for m in bench.engine.requests[1].messages[1:]] == [
        "Первый вопрос",
        "раз",
        "Второй",
    ]
    [conversation] = store.conversations()
    assert (conversation.title, conversation.turns) == ("Первый вопрос", 2)
    turn = store.turns(conversation.id)[1]
    assert (turn.state, turn.answer, turn.finish_reason) == ("done", "два", "stop")
    assert turn.setup.backend == "fake"
    assert turn.setup.profile == "base"
    assert turn.usage.completion_tokens == 1


async def test_users_message_is_kept_before_the_answer(bench: Any, store: Store) -> None:
    bench.script("one two three")
    async with bench.open() as session:
        async with aclosing(Chat(session, store).say("вопрос")) as events:
            async for event in events:
                if isinstance(event, Text):
                    [turn] = store.turns(1)
                    assert (turn.state, turn.prompt, turn.answer) == ("running", "вопрос", "")
                    break
        [turn] = store.turns(1)
    assert (turn.state, turn.finish_reason, turn.answer) == ("cancelled", "cancelled", "one")
    assert turn.answered


async def test_failure_keeps_what_came(
    bench: Any, gathered: Callable[..., Any], store: Store
) -> None:
    bench.script(FakeAnswer("half an", error=BackendError("engine is gone")), "again")
    async with bench.open() as session:
        chat = Chat(session, store)
        with pytest.raises(BackendError, match="gone"):
            await gathered(chat.say("x"))
        [turn] = store.turns(1)
        assert (turn.state, turn.error, turn.answer) == ("failed", "engine is gone", "half an")
        await gathered(chat.say("y"))
    assert len(store.turns(1)) == 2


async def test_what_is_refused_leaves_nothing(
    bench: Any, gathered: Callable[..., Any], store: Store
) -> None:
    async with bench.open() as session:
        object.__setattr__(session.ingredients, "capabilities", frozenset())
        with pytest.raises(CapabilityError):
            await gathered(Chat(session, store).say("x", json_schema={}))
    assert store.conversations() == []


async def test_going_on_in_another_process(
    bench: Any, gathered: Callable[..., Any], store: Store
) -> None:
    bench.script("раз", "два")
    async with bench.open() as session:
        await gathered(Chat(session, store).say("a"))
    with Store() as again:
        async with bench.open() as session:
            await gathered(Chat(session, again, 1).say("b"))
    assert [m.content for m in store.history(1)] == ["a", "раз", "b", "два"]


async def test_undo_and_retry(bench: Any, gathered: Callable[..., Any], store: Store) -> None:
    bench.script("1", "2", "3")
    async with bench.open() as session:
        chat = Chat(session, store)
        assert chat.undo() is None
        await gathered(chat.say("a"))
        await gathered(chat.say("b"))
        assert chat.undo() == "b"
        await gathered(chat.say("c"))
    assert [m.content for m in store.history(1)] == ["a", "1", "c", "3"]
    assert [m.content for m in chat.history] == ["a", "1", "c", "3"]


async def test_without_a_store(bench: Any, gathered: Callable[..., Any], oss_home: Any) -> None:
    async with bench.open() as session:
        chat = Chat(session)
        await gathered(chat.say("a"))
        await gathered(chat.say("b"))
        assert len(chat.history) == 4
        assert chat.undo() == "b"
        chat.clear()
        assert chat.history == []
    assert not (oss_home.data / "conversations.db").exists()


async def test_reading_without_keeping(
    bench: Any, gathered: Callable[..., Any], store: Store
) -> None:
    async with bench.open() as session:
        await gathered(Chat(session, store).say("a"))
        chat = Chat(session, store, 1, keep=False)
        await gathered(chat.say("b"))
        chat.undo()
    assert [t.prompt for t in store.turns(1)] == ["a"]
    assert len(bench.engine.requests[1].messages) == 4


async def test_summaries_are_found_again_by_another_process(
    bench: Any, gathered: Callable[..., Any], store: Store
) -> None:
    long = "w " * 50
    bench.script(*[long] * 6, context=400)
    async with bench.open(
        'memory.overflow="summarise"', summaries=StoredSummaries(store)
    ) as session:
        chat = Chat(session, store)
        events = [await gathered(chat.say(f"{n} {long}")) for n in range(4)]
    assert any(isinstance(e, Notice) and "summarised" in e.message for e in events[-1])
    before = len(bench.engine.requests)
    with Store() as again:
        async with bench.open(
            'memory.overflow="summarise"', summaries=StoredSummaries(again)
        ) as session:
            await gathered(Chat(session, again, 1).say("x"))
    assert len(bench.engine.requests) == before + 1
    assert "Summary" in bench.engine.requests[-1].messages[1].content


async def test_after_turn_hears_when_it_is_logged(
    bench: Any, gathered: Callable[..., Any], store: Store
) -> None:
    heard: list[tuple[Any, Done, str]] = []

    class Counter:
        @hookimpl
        def oss_after_turn(self, messages: Any, done: Done) -> None:
            heard.append((messages, done, store.turns(1)[0].state))

    bench.plugins.manager.register(Counter(), name="counter")
    async with bench.open() as session:
        await gathered(Chat(session, store).say("a"))
    [(messages, done, state)] = heard
    assert messages[-1] == Message("user", "a")
    assert done.answer == "a"
    assert state == "done"
