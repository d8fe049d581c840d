"""An engine whose model calls tools: in its own form where it has one, by constraint elsewhere."""

from __future__ import annotations

import time
from abc import abstractmethod
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from oss.contracts.backend import Engine
from oss.contracts.errors import UsageError
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

    from oss.contracts.chat import ChatRequest, Delta
    from oss.contracts.messages import Message, ToolSpec


class CallingEngine(Engine):
    """Brings any answer into the form of the contract; a subclass generates.

    :ivar native_tools: the model has a form of its own for calls, and what it writes in it comes
        as ``tool_calls``. Where it has none, the tools are told in the system text and a call
        is constrained by its JSON Schema.
    """

    native_tools: bool

    async def chat(self, request: ChatRequest) -> AsyncIterator[Delta]:
        """Stream the answer; closing the iterator stops the generation."""
        if not request.messages:
            raise UsageError("there is no message to answer")
        started = time.perf_counter()
        request = replace(request, tools=chosen_tools(request))
        await self._prepare(request)
        if request.tools:
            deltas = self._calling(request)
        elif self.native_tools:
            deltas = self._generate(request, None)
        else:
            messages = told_tools(request.messages, ())
            deltas = self._generate(replace(request, messages=messages), None)
        async with aclosing(finished(deltas, started)) as whole:
            async for delta in whole:
                yield delta

    async def _prepare(self, request: ChatRequest) -> None:
        """Refuse what this engine cannot do.

        :raises CapabilityError: the request needs what is not there.
        """

    async def _calling(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        def again(choice: str) -> AsyncGenerator[Delta, None]:
            wanted = replace(request, tool_choice=choice, json_schema=None)
            return self._told(replace(wanted, tools=chosen_tools(wanted)))

        first = self._generate(request, None) if self.native_tools else self._told(request)
        async with aclosing(whole_calls(first, request.tools, again)) as deltas:
            async for delta in deltas:
                yield delta

    def _told(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """A call by constrained decoding."""
        call = call_schema(request.tools)
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

    def _shown(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec]
    ) -> tuple[Sequence[Message], Sequence[ToolSpec]]:
        """Messages and tools as the chat template gets them."""
        return (messages, tools) if self.native_tools else (told_tools(messages, tools), ())

    @abstractmethod
    def _generate(
        self, request: ChatRequest, call: Mapping[str, Any] | None
    ) -> AsyncGenerator[Delta, None]:
        """The engine's own answer.

        Tools in the request are the template's own; ``call`` is a JSON Schema that the answer
        must satisfy unless it is a text that does not begin with a brace. An engine that cannot
        constrain so leaves it out: a call is found in the text, and a broken one asked for again.
        """
