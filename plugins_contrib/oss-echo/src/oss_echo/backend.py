"""An engine that repeats the user's message; a token is a word."""

from __future__ import annotations

import re
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from oss.contracts.backend import Backend, Engine, EngineInfo
from oss.contracts.chat import Delta, Timings, Usage
from oss.contracts.errors import BackendError, CapabilityError, ContextOverflowError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.chat import ChatRequest, FinishReason
    from oss.contracts.messages import Message, ToolSpec
    from oss.contracts.model import Format, LocalModel


class EchoEngine(Engine):
    """Answers with the last message of the user."""

    def __init__(self, info: EngineInfo, *, upper: bool) -> None:
        self.info = info
        self.upper = upper

    async def chat(self, request: ChatRequest) -> AsyncIterator[Delta]:
        """Stream the message back, a word at a time."""
        begun = time.perf_counter()
        if not request.messages:
            raise BackendError("there is nothing to repeat: the request has no messages")
        if request.adapter_scales:
            raise BackendError(f"no adapter '{next(iter(request.adapter_scales))}' is loaded")
        if request.tools or request.json_schema is not None or request.logprobs is not None:
            raise CapabilityError("backend 'echo' only repeats", hint="use another backend")
        prompt_tokens = await self.count_tokens(request.messages)
        if prompt_tokens >= self.info.context:
            raise ContextOverflowError(
                f"the prompt has {prompt_tokens} tokens, the context {self.info.context}"
            )
        said = [message.content for message in request.messages if message.role == "user"]
        text = said[-1] if said else ""
        words, finish = self._limited(text.upper() if self.upper else text, request, prompt_tokens)
        first = time.perf_counter() - begun
        for word in words:
            yield Delta(content=word)
        yield Delta(
            finish_reason=finish,
            usage=Usage(prompt_tokens, len(words)),
            timings=Timings(first_token_s=first, generate_s=time.perf_counter() - begun),
        )

    def _limited(
        self, text: str, request: ChatRequest, prompt_tokens: int
    ) -> tuple[list[str], FinishReason]:
        ends = [at for stop in request.sampling.stop if (at := text.find(stop)) >= 0]
        words = re.findall(r"\s*\S+|\s+$", text[: min(ends, default=len(text))])
        room = self.info.context - prompt_tokens
        if request.sampling.max_tokens is not None:
            room = min(room, request.sampling.max_tokens)
        return (words, "stop") if len(words) <= room else (words[:room], "length")

    async def count_tokens(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec] = (),  # noqa: ARG002  refused anyway
    ) -> int:
        """The words of all messages, and one for the role of each."""
        return sum(1 + len(message.content.split()) for message in messages)


class EchoBackend(Backend):
    """Opens any model without looking at it."""

    name: ClassVar[str] = "echo"
    formats: ClassVar[tuple[Format, ...]] = ("remote", "gguf", "hf")

    @asynccontextmanager
    async def open(
        self, model: LocalModel, adapters: Sequence[AdapterRef], options: Mapping[str, Any]
    ) -> AsyncIterator[Engine]:
        """An engine, at once."""
        if adapters:
            raise CapabilityError(
                f"backend 'echo' takes no adapters, and '{adapters[0].name}' is one"
            )
        context = options["context"] or 2048
        info = EngineInfo(self.name, model.name, context, frozenset())
        yield EchoEngine(info, upper=options["upper"])
