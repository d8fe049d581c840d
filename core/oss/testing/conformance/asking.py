"""An open engine to ask in tests, its whole answers, and things to ask."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from oss.contracts.chat import (
    ChatRequest,
    Delta,
    FinishReason,
    Sampling,
    Timings,
    TokenLogprob,
    Usage,
)
from oss.contracts.messages import Message, ToolCall, ToolSpec

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import Backend, Capability, Engine
    from oss.contracts.model import LocalModel

T = TypeVar("T")

GREEDY = Sampling(temperature=0, max_tokens=24)
SAME = replace(GREEDY, seed=1)
"""Greedy, and with a seed: engines that keep evaluated prompts may give the last bits, and with
them a close choice between two tokens, differently when they take up a kept one.
"""
CAPITAL = (Message("user", "What is the capital of France?"),)
CYRILLIC = (
    Message("system", "Ты — вежливый собеседник."),
    Message("user", "Привет! Повтори слово «ёжик»."),
)
WEATHER = ToolSpec(
    "get_weather",
    "The weather in a city.",
    {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 40}},
        "required": ["city"],
        "additionalProperties": False,
    },
)
ADD = ToolSpec(
    "add",
    "Adds two whole numbers.",
    {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "minimum": 0, "maximum": 99},
            "b": {"type": "integer", "minimum": 0, "maximum": 99},
        },
        "required": ["a", "b"],
        "additionalProperties": False,
    },
)
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Answer:
    """The deltas of one answer, and what they add up to."""

    deltas: tuple[Delta, ...]

    @property
    def content(self) -> str:
        """The text."""
        return "".join(delta.content for delta in self.deltas)

    @property
    def reasoning(self) -> str:
        """The thinking."""
        return "".join(delta.reasoning for delta in self.deltas)

    @property
    def calls(self) -> list[ToolCall]:
        """The tool calls, put together from their pieces."""
        calls: dict[int, ToolCall] = {}
        for delta in self.deltas:
            for piece in delta.tool_calls:
                if piece.index not in calls:
                    assert piece.id, "the first piece of a call carries its id"
                    assert piece.name, "the first piece of a call carries its name"
                    calls[piece.index] = ToolCall(piece.id, piece.name, "")
                call = calls[piece.index]
                calls[piece.index] = replace(call, arguments=call.arguments + piece.arguments)
        return list(calls.values())

    @property
    def logprobs(self) -> list[TokenLogprob]:
        """Those of all tokens."""
        return [each for delta in self.deltas for each in delta.logprobs]

    @property
    def finish_reason(self) -> FinishReason | None:
        """The last delta's."""
        return self.deltas[-1].finish_reason

    @property
    def usage(self) -> Usage:
        """The last delta's."""
        usage = self.deltas[-1].usage
        assert usage is not None, "the last delta carries usage"
        return usage

    @property
    def timings(self) -> Timings:
        """The last delta's, zeros where the engine measures none."""
        return self.deltas[-1].timings or Timings()


class Opened:
    """An open engine and the event loop it lives in, for tests that are not coroutines."""

    def __init__(
        self,
        backend: Backend,
        model: LocalModel,
        adapters: Sequence[AdapterRef],
        options: Mapping[str, Any],
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        try:
            self.engine: Engine = self.run(
                self._stack.enter_async_context(backend.open(model, adapters, options))
            )
        except BaseException:
            self._loop.close()
            raise

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result."""
        return self._loop.run_until_complete(coroutine)

    def close(self) -> None:
        """Close the engine, then the loop."""
        self.run(self._stack.aclose())
        self.run(self._loop.shutdown_asyncgens())
        self.run(self._loop.shutdown_default_executor())
        self._loop.close()

    def ask(self, messages: Sequence[Message], sampling: Sampling = GREEDY, **more: Any) -> Answer:
        """The whole answer to a request."""
        return self.run(answer(self.engine, messages, sampling, **more))

    def count(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> int:
        """The engine's count of a prompt's tokens."""
        return self.run(self.engine.count_tokens(messages, tools))

    def need(self, capability: Capability) -> None:
        """Skip the test where the engine cannot do this."""
        if capability not in self.engine.info.capabilities:
            pytest.skip(f"{self.engine.info.backend} has no {capability.value}")


async def answer(
    engine: Engine, messages: Sequence[Message], sampling: Sampling = GREEDY, **more: Any
) -> Answer:
    """The whole answer of an engine."""
    request = ChatRequest(tuple(messages), sampling, **more)
    return Answer(tuple([delta async for delta in engine.chat(request)]))
