"""A request to an engine, and the deltas that it answers with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oss.contracts.messages import Message, ToolSpec

Effort = Literal["none", "minimal", "low", "medium", "high"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "cancelled"]


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. ``None`` leaves the engine's or the model's own default.

    ``temperature`` 0 is greedy. ``seed`` makes a draw repeatable on one engine and machine.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChatRequest:
    """What an engine is asked to answer.

    :param tool_choice: ``auto``, ``none``, ``required``, or the name of one tool.
    :param json_schema: a JSON Schema that the answer must satisfy, or ``None``.
    :param logprobs: how many alternatives to report per token; ``None`` reports nothing,
        0 reports the chosen token alone.
    :param effort: how much a reasoning model should think; ``None`` is the model's default.
    :param adapter_scales: adapter name to scale; adapters not named keep the scale they were
        opened with.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str = "auto"
    json_schema: Mapping[str, Any] | None = None
    logprobs: int | None = None
    effort: Effort | None = None
    adapter_scales: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ToolCallDelta:
    """A piece of a tool call. The first piece of each ``index`` carries ``id`` and ``name``."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(frozen=True)
class TokenLogprob:
    """The natural logarithm of a token's probability, and the best alternatives."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Usage:
    """Token counts. ``cached_tokens`` of the prompt were not evaluated again."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class Timings:
    """What one answer took, in seconds; 0 where an engine does not say.

    ``first_token_s`` runs from the request to the first token of any kind.
    """

    load_s: float = 0.0
    first_token_s: float = 0.0
    prompt_s: float = 0.0
    generate_s: float = 0.0

    def tokens_per_second(self, usage: Usage) -> float:
        """Completion tokens per second of generation, 0 when it took no time."""
        return usage.completion_tokens / self.generate_s if self.generate_s > 0 else 0.0


@dataclass(frozen=True)
class Delta:
    """One step of an answer. Every field may be empty; the last delta carries
    ``finish_reason``, ``usage`` and, where the engine measures them, ``timings``.
    """

    content: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    timings: Timings | None = None
