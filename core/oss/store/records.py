"""What the store holds: conversations and their turns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from oss.contracts.chat import Timings, Usage

if TYPE_CHECKING:
    from oss.contracts.chat import FinishReason
    from oss.contracts.messages import Message
    from oss.contracts.retriever import Passage

TurnState = Literal["running", "done", "cancelled", "failed"]
"""``running`` in a turn that nobody runs means that its process was killed."""


@dataclass(frozen=True)
class Conversation:
    """A titled path through the tree of turns.

    ``created`` and ``updated`` are seconds since 1970, UTC. ``profile`` and ``model`` are those of
    the last turn, empty without one; ``turns`` counts those on the path.
    """

    id: int
    title: str
    created: float
    updated: float
    head_id: int | None
    turns: int = 0
    profile: str = ""
    model: str = ""


@dataclass(frozen=True)
class Setup:
    """What a turn runs with: enough to say later where an answer came from.

    ``profile_hash`` is the SHA-256 of the resolved profile; ``model`` its full reference.
    """

    profile: str
    profile_hash: str
    model: str
    backend: str
    persona: str | None = None


@dataclass(frozen=True)
class Turn:
    """A user's message and what came of it.

    :param messages: the user's message, tool calls and results, the answer; in a turn without an
        answer the user's message alone.
    :param error: why a turn in the state ``failed`` did.
    """

    id: int
    conversation_id: int
    parent_id: int | None
    created: float
    state: TurnState
    setup: Setup
    messages: tuple[Message, ...]
    passages: tuple[Passage, ...] = ()
    finish_reason: FinishReason | None = None
    error: str | None = None
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)

    @property
    def prompt(self) -> str:
        """The user's text."""
        return self.messages[0].content

    @property
    def answer(self) -> str:
        """The final answer, or as much of it as came; empty without one."""
        last = self.messages[-1]
        return last.content if last.role == "assistant" else ""

    @property
    def answered(self) -> bool:
        """Whether it can stand in the history of a later turn."""
        return self.messages[-1].role == "assistant" and bool(self.answer)


@dataclass(frozen=True)
class Hit:
    """A turn, or a title (``turn_id`` is ``None``), in which a search found its words.

    ``excerpt`` has the words found between ``\\x02`` and ``\\x03``.
    """

    conversation_id: int
    title: str
    turn_id: int | None
    updated: float
    excerpt: str
