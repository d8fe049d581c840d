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

    from oss.contracts.chat import ChatRequest, Delta, Effort
    from oss.contracts.messages import Message, ToolSpec


class CallingEngine(Engine):
    """Brings any answer into the form of the contract; a subclass generates.

    :ivar native_tools: the model has a form of its own for calls, and what it writes in it comes
        as ``tool_calls``. Where it has none, the tools are told in the system text and a call
        is constrained by its JSON Schema.
    :ivar native_demands: a call that is demanded comes in that form too, and surely: nothing
        else can be written. Where not, it is told and constrained as well.
    """

    native_tools: bool
    native_demands: bool = False

    async def chat(self, request: ChatRequest) -> AsyncIterator[Delta]:
        """Stream the answer; closing the iterator stops the generation."""
        if not request.messages:
            raise UsageError("there is no message to answer")
        started = time.perf_counter()
        tools = chosen_tools(request)
        await self._prepare(request)
        if tools:
            deltas = self._calling(request, tools)
        elif self.native_tools:
            deltas = self._generate(replace(request, tools=()), None)
        else:
            messages = told_tools(request.messages, ())
            deltas = self._generate(replace(request, messages=messages, tools=()), None)
        async with aclosing(finished(deltas, started)) as whole:
            async for delta in whole:
                yield delta

    async def _prepare(self, request: ChatRequest) -> None:
        """Refuse what this engine cannot do, before it begins.

        :raises CapabilityError: the request needs what is not there.
        """

    async def _calling(
        self, request: ChatRequest, tools: Sequence[ToolSpec]
    ) -> AsyncGenerator[Delta, None]:
        def again(choice: str) -> AsyncGenerator[Delta, None]:
            return self._told(replace(request, tool_choice=choice, json_schema=None))

        if self._calls_natively(request):
            first = self._native(replace(request, tools=tuple(tools)))
        else:
            first = self._told(request)
        async with aclosing(whole_calls(first, tools, again)) as deltas:
            async for delta in deltas:
                yield delta

    def _calls_natively(self, request: ChatRequest) -> bool:
        """Whether a call of this request is left to the model's own form."""
        return self.native_tools and (self.native_demands or request.tool_choice == "auto")

    def _native(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """An answer that may hold calls in the model's own form."""
        return self._generate(request, None)

    def _told(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """A call by constrained decoding.

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


def template_variables(effort: Effort | None) -> dict[str, Any]:
    """Variables by which chat templates hear how much to think: gpt-oss knows three degrees,
    others an on and off; templates ignore what they do not know.
    """
    if effort is None:
        return {}
    degree = "low" if effort in ("none", "minimal") else effort
    return {"reasoning_effort": degree, "enable_thinking": effort != "none"}
