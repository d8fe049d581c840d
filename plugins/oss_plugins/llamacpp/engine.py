"""What the engines of both bindings have in common."""

from __future__ import annotations

import time
from abc import abstractmethod
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from oss.contracts.backend import Capability, Engine
from oss.contracts.errors import BackendError, UsageError
from oss.engines.finish import finished
from oss.engines.toolcalls import (
    LONGEST_CALL,
    call_schema,
    chosen_tools,
    either_schema,
    parsed_calls,
    told_tools,
    whole_calls,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
    from typing import Any

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import EngineInfo
    from oss.contracts.chat import ChatRequest, Delta, Effort
    from oss.contracts.messages import Message, ToolSpec

CAPABILITIES = frozenset(
    {
        Capability.TOOLS,
        Capability.JSON_SCHEMA,
        Capability.LOGPROBS,
        Capability.REASONING,
        Capability.ADAPTERS,
        Capability.PER_REQUEST_ADAPTERS,
    }
)


class UnreadableAnswerError(BackendError):
    """llama.cpp's own parser met an answer that it cannot read."""


class LlamaCppEngine(Engine):
    """An open GGUF model.

    :param native_tools: the model's chat template knows tools.
    """

    def __init__(
        self,
        info: EngineInfo,
        adapters: Sequence[AdapterRef],
        *,
        native_tools: bool,
    ) -> None:
        self.info = info
        self._adapters = tuple(adapters)
        self._native_tools = native_tools

    async def chat(self, request: ChatRequest) -> AsyncIterator[Delta]:
        """Stream the answer; closing the iterator stops the generation."""
        if not request.messages:
            raise UsageError("there is no message to answer")
        started = time.perf_counter()
        if tools := chosen_tools(request):
            deltas = self._calling(request, tools)
        elif self._native_tools:
            deltas = self._generate(replace(request, tools=()), None)
        else:
            messages = told_tools(request.messages, ())
            deltas = self._generate(replace(request, messages=messages, tools=()), None)
        async with aclosing(finished(deltas, started)) as whole:
            async for delta in whole:
                yield delta

    async def _calling(
        self, request: ChatRequest, tools: Sequence[ToolSpec]
    ) -> AsyncGenerator[Delta, None]:
        def again(choice: str) -> AsyncGenerator[Delta, None]:
            return self._told(replace(request, tool_choice=choice, json_schema=None))

        # A forced call is constrained here: llama.cpp's own "required" allows any text before it.
        native = self._native_tools and request.tool_choice == "auto"
        first = (
            self._native(replace(request, tools=tuple(tools))) if native else self._told(request)
        )
        async with aclosing(whole_calls(first, tools, again)) as deltas:
            async for delta in deltas:
                yield delta

    async def _native(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """A call in the model's own form; an answer that cannot be read is asked for again."""
        said = False
        try:
            async with aclosing(self._generate(request, None)) as deltas:
                async for delta in deltas:
                    said = said or bool(delta.content)
                    yield delta
            return
        except UnreadableAnswerError:
            if said:
                raise
        async with aclosing(self._told(request)) as deltas:
            async for delta in deltas:
                yield delta

    def _told(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """A call by constrained decoding, for a template that knows no tools.

        All tools are told, whichever may be called: the prompt stays the same, and cached.
        """
        call = call_schema(chosen_tools(request))
        messages = told_tools(request.messages, request.tools)
        sampling = request.sampling
        forced = request.tool_choice != "auto"
        if forced and sampling.max_tokens is None:
            sampling = replace(sampling, max_tokens=LONGEST_CALL)
        plain = replace(request, messages=messages, tools=(), sampling=sampling)
        if forced:
            return parsed_calls(self._generate(replace(plain, json_schema=call), None))
        if request.json_schema is None:
            return parsed_calls(self._generate(plain, call))
        either = either_schema(call, request.json_schema)
        return parsed_calls(self._generate(replace(plain, json_schema=either), None))

    def _prompt(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec]
    ) -> tuple[Sequence[Message], Sequence[ToolSpec]]:
        """Messages and tools as the chat template gets them."""
        return (messages, tools) if self._native_tools else (told_tools(messages, tools), ())

    @abstractmethod
    def _generate(
        self, request: ChatRequest, call: Mapping[str, Any] | None
    ) -> AsyncGenerator[Delta, None]:
        """The binding's own answer.

        Tools in the request are the template's own; ``call`` is a JSON Schema that the answer
        must satisfy unless it is a text that does not begin with a brace.
        """

    @abstractmethod
    async def close(self) -> None:
        """Stop what runs and free the model."""

    def _scales(self, wanted: Mapping[str, float]) -> list[float]:
        """The scale of each adapter, in the order they were opened in.

        :raises BackendError: an adapter is named that was not opened.
        """
        known = {adapter.name for adapter in self._adapters}
        for name in wanted:
            if name not in known:
                raise BackendError(
                    f"no adapter '{name}' is open",
                    hint=f"open: {', '.join(sorted(known)) or 'none'}",
                )
        return [wanted.get(adapter.name, adapter.scale) for adapter in self._adapters]


def template_variables(effort: Effort | None) -> dict[str, Any]:
    """Variables by which templates hear how much to think: gpt-oss knows three degrees,
    others an on and off; templates ignore what they do not know.
    """
    if effort is None:
        return {}
    degree = "low" if effort in ("none", "minimal") else effort
    return {"reasoning_effort": degree, "enable_thinking": effort != "none"}
