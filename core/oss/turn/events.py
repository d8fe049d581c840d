"""What a turn yields. The command line, the screen and the server read these and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oss.contracts.chat import Timings, TokenLogprob, Usage

if TYPE_CHECKING:
    from oss.contracts.chat import FinishReason
    from oss.contracts.messages import Message, ToolCall
    from oss.contracts.retriever import Passage


@dataclass(frozen=True)
class Notice:
    """Something the user should know: what was dropped, summarised, retried."""

    message: str


@dataclass(frozen=True)
class PassagesFound:
    """The passages that go to the model, and those that did not fit."""

    passages: tuple[Passage, ...]
    left_out: tuple[Passage, ...] = ()


@dataclass(frozen=True)
class Cited:
    """Which passages the answer cites; comes after the answer, where there were passages.

    :param passages: all that the model was given; number ``n`` is ``passages[n - 1]``.
    :param numbers: those that it cites, in the order in which it does.
    :param removed: marks that named no passage, and were taken out of the answer.
    :param attributed: where it cites none, the passages that the program finds its words in, the
        likeliest first.
    """

    passages: tuple[Passage, ...]
    numbers: tuple[int, ...] = ()
    removed: tuple[str, ...] = ()
    attributed: tuple[int, ...] = ()


@dataclass(frozen=True)
class Reasoning:
    """A piece of the model's thinking."""

    text: str


@dataclass(frozen=True)
class Text:
    """A piece of the answer."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class ToolCalled:
    """The model asks for a tool; consent has not been asked yet."""

    call: ToolCall


@dataclass(frozen=True)
class ToolReturned:
    """What the tool gave, or why it did not run.

    :param unasked: it did not run because it needs consent and there is no one to ask.
    """

    call: ToolCall
    result: str
    failed: bool = False
    unasked: bool = False


@dataclass(frozen=True)
class Done:
    """The end of a turn.

    :param messages: what the turn adds to the conversation: the user's message, tool calls and
        results, the final answer (always last).
    :param prompt: the whole prompt of the last request, as sent.
    :param usage: summed over all requests of the turn, except ``cached_tokens`` and
        ``prompt_tokens``, which are those of the last.
    :param schema_problem: why the answer does not satisfy the JSON Schema that was asked for.
    """

    messages: tuple[Message, ...]
    prompt: tuple[Message, ...]
    finish_reason: FinishReason
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)
    schema_problem: str | None = None

    @property
    def answer(self) -> str:
        """The text of the final answer."""
        return self.messages[-1].content


Event = Notice | PassagesFound | Cited | Reasoning | Text | ToolCalled | ToolReturned | Done
