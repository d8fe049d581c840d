"""What a training file holds, whatever format it came in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oss.contracts.messages import Message, ToolSpec

Kind = Literal["chat", "preference", "rated", "prompt", "text"]


@dataclass(frozen=True)
class Origin:
    """Where a row came from: a file and the line it starts on, or its number in a file
    without lines.
    """

    file: str
    line: int
    unit: Literal["line", "row"] = "line"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.unit == "line" else f"{self.file} row {self.line}"


@dataclass(frozen=True)
class Conversation:
    """Messages to learn from: the assistant's are learned, but for those in ``unlearned``.

    :param unlearned: indices of assistant messages that are context alone (OpenAI's
        ``weight: 0``).
    """

    messages: tuple[Message, ...]
    origin: Origin
    tools: tuple[ToolSpec, ...] = ()
    unlearned: frozenset[int] = frozenset()

    kind: Literal["chat"] = field(default="chat", init=False)


@dataclass(frozen=True)
class Preference:
    """Two answers to one prompt, of which ``chosen`` is the better."""

    prompt: tuple[Message, ...]
    chosen: Message
    rejected: Message
    origin: Origin

    kind: Literal["preference"] = field(default="preference", init=False)


@dataclass(frozen=True)
class Rated:
    """An answer that was found good or bad, without another to compare it with."""

    prompt: tuple[Message, ...]
    answer: Message
    good: bool
    origin: Origin

    kind: Literal["rated"] = field(default="rated", init=False)


@dataclass(frozen=True)
class Prompt:
    """A prompt without an answer, for a reward; ``fields`` are the other keys of its row."""

    prompt: tuple[Message, ...]
    origin: Origin
    fields: Mapping[str, Any] = field(default_factory=dict)

    kind: Literal["prompt"] = field(default="prompt", init=False)


@dataclass(frozen=True)
class Text:
    """Plain text: every word is learned."""

    text: str
    origin: Origin

    kind: Literal["text"] = field(default="text", init=False)


Row = Conversation | Preference | Rated | Prompt | Text


@dataclass(frozen=True)
class Fault:
    """What is wrong with one row.

    :param code: a short stable word, for filters and JSON (``syntax``, ``role-order``).
    :param fatal: the row cannot be used; else it is only doubtful.
    """

    origin: Origin
    code: str
    message: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}"
