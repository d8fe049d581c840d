"""A chat: turns of a session that follow each other, kept in the store."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import OssError
from oss.contracts.messages import Message
from oss.store import Setup, title_of
from oss.turn.attachments import Attachment, user_message
from oss.turn.events import Done, Event, PassagesFound, Reasoning, Text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from oss.contracts.retriever import Passage
    from oss.store import Store, TurnState
    from oss.turn.session import Session
    from oss.turn.tools import Consent


@dataclass
class StoredSummaries:
    """Summaries in the store, owned by the conversation that the chat is in."""

    store: Store
    conversation_id: int | None = None

    def get(self, digest: str) -> str | None:
        """The summary of the messages with this digest."""
        return self.store.summary(digest)

    def put(self, digest: str, text: str) -> None:
        """Keep it."""
        if self.conversation_id is not None:
            self.store.keep_summary(self.conversation_id, digest, text)


@dataclass
class _Partial:
    """What came of a turn so far."""

    user: Message
    text: str = ""
    reasoning: str = ""
    passages: tuple[Passage, ...] = ()

    def add(self, event: Event) -> None:
        if isinstance(event, Text):
            self.text += event.text
        elif isinstance(event, Reasoning):
            self.reasoning += event.text
        elif isinstance(event, PassagesFound):
            self.passages = event.passages

    @property
    def messages(self) -> tuple[Message, ...]:
        if not self.text:
            return (self.user,)
        return (self.user, Message("assistant", self.text, reasoning=self.reasoning))


@dataclass
class Chat:
    """One conversation with one person.

    The user's message is in the store before the answer begins; an answer that is stopped, or
    breaks off, is kept as far as it came.

    :param session: may be replaced between turns, by another profile's.
    :param store: ``None`` keeps nothing beyond this object.
    :param conversation_id: a conversation to go on with; the first turn makes one otherwise.
    :param keep: write to the store, or only read from it.
    """

    session: Session
    store: Store | None = None
    conversation_id: int | None = None
    keep: bool = True
    turn_id: int | None = field(default=None, init=False)
    _turns: list[tuple[Message, ...]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if self.store is not None and self.conversation_id is not None:
            self._turns = [t.messages for t in self.store.turns(self.conversation_id) if t.answered]

    @property
    def answered(self) -> int:
        """How many turns the history has."""
        return len(self._turns)

    @property
    def history(self) -> list[Message]:
        """The messages that the next turn follows."""
        return [message for turn in self._turns for message in turn]

    async def say(
        self,
        prompt: str,
        *,
        attachments: Sequence[Attachment] = (),
        consent: Consent | None = None,
        json_schema: Mapping[str, Any] | None = None,
        logprobs: int | None = None,
    ) -> AsyncGenerator[Event, None]:
        """A turn of the session, kept. Parameters, events, errors: those of
        :meth:`oss.turn.session.Session.turn`; and :class:`~oss.contracts.errors.StorageError` or
        :class:`~oss.contracts.errors.BusyError` of the store.
        """
        session = self.session
        session.check(prompt, attachments, json_schema, logprobs)
        partial = _Partial(user_message(prompt, attachments))
        state: TurnState = "cancelled"
        problem: str | None = None
        done: Done | None = None
        events = session.turn(
            self.history,
            prompt,
            attachments=attachments,
            consent=consent,
            json_schema=json_schema,
            logprobs=logprobs,
        )
        # The model loads, in its thread, while the disk is written to.
        session.load()
        await asyncio.sleep(0)
        turn_id = self._begin(partial.user)
        try:
            async with aclosing(events):
                async for event in events:
                    partial.add(event)
                    if isinstance(event, Done):
                        done, state = event, "done"
                        break
                    yield event
        except OssError as error:
            state, problem = "failed", error.message
            raise
        except Exception as error:
            state, problem = "failed", f"{type(error).__name__}: {error}"
            raise
        finally:
            messages = done.messages if done else partial.messages
            if messages[-1].role == "assistant":
                self._turns.append(messages)
            self._end(turn_id, state, messages, partial, done, problem)
        if done is not None:
            session.plugins.notify("oss_after_turn", messages=done.prompt, done=done)
            yield done

    def undo(self) -> str | None:
        """Take back the last turn; returns its prompt, ``None`` without one."""
        if not self._turns:
            return None
        prompt = self._turns[-1][0].content
        self.rewind(len(self._turns) - 1)
        return prompt

    def rewind(self, turns: int) -> None:
        """Go back to where so many turns were answered; the next turn follows them. What came
        after stays in the store, as a branch.
        """
        del self._turns[turns:]
        if self.keep and self.store is not None and self.conversation_id is not None:
            answered = [t for t in self.store.turns(self.conversation_id) if t.answered]
            head = answered[turns - 1].id if 0 < turns <= len(answered) else None
            self.store.rewind(self.conversation_id, head)

    def take_over(self, other: Chat) -> None:
        """Go on where another chat is, with this one's session."""
        self.conversation_id, self.turn_id = other.conversation_id, other.turn_id
        self._turns = list(other._turns)

    def clear(self) -> None:
        """Begin another conversation with the next turn."""
        self.conversation_id = self.turn_id = None
        self._turns = []

    def _begin(self, user: Message) -> int | None:
        if self.store is None or not self.keep:
            return None
        if self.conversation_id is None:
            self.conversation_id = self.store.create(title_of(user.content))
        if isinstance(self.session.summaries, StoredSummaries):
            self.session.summaries.conversation_id = self.conversation_id
        made = self.session.ingredients
        setup = Setup(
            made.resolved.name,
            made.resolved.hash,
            made.choice.model.ref,
            made.backend_name,
            made.persona,
        )
        self.turn_id = self.store.begin_turn(self.conversation_id, user, setup)
        return self.turn_id

    def _end(
        self,
        turn_id: int | None,
        state: TurnState,
        messages: tuple[Message, ...],
        partial: _Partial,
        done: Done | None,
        problem: str | None,
    ) -> None:
        if self.store is None or turn_id is None:
            return
        stopped = state == "cancelled"
        self.store.end_turn(
            turn_id,
            state,
            messages,
            passages=partial.passages,
            finish_reason=done.finish_reason if done else "cancelled" if stopped else None,
            error=problem,
            usage=done.usage if done else None,
            timings=done.timings if done else None,
        )
