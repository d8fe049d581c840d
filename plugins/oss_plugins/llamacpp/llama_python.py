"""The engine over llama-cpp-python; one request at a time, the others wait their turn."""

from __future__ import annotations

import asyncio
import codecs
import threading
import time
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oss.contracts.backend import EngineInfo
from oss.contracts.chat import Delta, Timings, Usage
from oss.contracts.errors import BackendError, ContextOverflowError
from oss.engines.bridge import ThreadStream
from oss.engines.harmony import HarmonyParser, is_harmony
from oss.engines.thinking import TAGS, ThinkParser, held_back, opens_thinking
from oss.engines.toolcalls import parsed_calls
from oss_plugins.llamacpp.capi import Native, NoRoomError
from oss_plugins.llamacpp.engine import CAPABILITIES, LlamaCppEngine
from oss_plugins.llamacpp.grammar import schema_grammar
from oss_plugins.llamacpp.sampler import Sampler, logprob
from oss_plugins.llamacpp.slots import Slots
from oss_plugins.llamacpp.template import Template

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.chat import ChatRequest, FinishReason, TokenLogprob
    from oss.contracts.messages import Message, ToolSpec
    from oss.contracts.model import LocalModel
    from oss_plugins.llamacpp.settings import Settings

    Emit = Callable[[Delta], bool]

_HARMONY_ANSWER = "<|channel|>final<|message|>"
_KEPT_MARKERS = frozenset(tag for pair in TAGS for tag in pair) | {"<tool_call>", "</tool_call>"}


class LlamaPythonEngine(LlamaCppEngine):
    """A model opened by llama-cpp-python."""

    def __init__(
        self, native: Native, info: EngineInfo, adapters: Sequence[AdapterRef], settings: Settings
    ) -> None:
        template = Template(
            settings.chat_template or native.chat_template(),
            native.special("bos"),
            native.special("eos"),
        )
        self._harmony = is_harmony(template.source)
        hermes = "tools" in template.source and "<tool_call>" in template.source
        super().__init__(info, adapters, native_tools=self._harmony or hermes)
        self._template = template
        self._model = native
        self._slots = Slots(native, settings.slots)
        self._turn = asyncio.Lock()
        self._working = threading.Lock()
        self._closed = False

    @classmethod
    async def load(
        cls, model: LocalModel, adapters: Sequence[AdapterRef], settings: Settings
    ) -> LlamaPythonEngine:
        """Open the model.

        :raises ModelError: llama.cpp could not load it; the hint has its last words.
        """
        native = await asyncio.to_thread(Native, str(model.path), adapters, settings)
        info = EngineInfo(
            backend="llamacpp",
            model=model.name,
            context=native.size,
            capabilities=CAPABILITIES,
            details={
                "binding": "llama-cpp-python",
                "threads": str(settings.threads),
                "slots": str(settings.slots),
            },
        )
        return cls(native, info, adapters, settings)

    async def _generate(
        self, request: ChatRequest, call: Mapping[str, Any] | None
    ) -> AsyncGenerator[Delta, None]:
        prompt = self._template.render(request.messages, request.tools, request.effort)
        grammar = schema_grammar(request.json_schema, call)
        if request.json_schema is not None:
            prompt += self._answer_opening(prompt)
        tokens = self._model.tokenize(prompt)
        if len(tokens) >= self._model.size:
            raise ContextOverflowError(
                f"the prompt has {len(tokens)} tokens, the context of '{self.info.model}' "
                f"holds {self._model.size}",
                hint="shorten it, or raise model.context in the profile",
            )
        run = _Run(self._model, self._slots, request, tokens, self._scales(request.adapter_scales))

        def produce(emit: Emit) -> None:
            with self._working:
                if self._closed:
                    raise BackendError("the engine is closed")
                sampler = Sampler(self._model, request.sampling, grammar)
                try:
                    run.go(sampler, emit, keep_markers=self._harmony)
                finally:
                    sampler.close()

        async with self._turn:
            raw = ThreadStream(produce).read()
            parts = self._parted(raw, prompt, schema=request.json_schema is not None)
            if request.tools and not self._harmony:
                parts = parsed_calls(parts)
            async with aclosing(parts) as deltas:
                async for delta in deltas:
                    yield delta

    def _answer_opening(self, prompt: str) -> str:
        """What leads a model past its thinking, where the answer is constrained."""
        if self._harmony:
            return _HARMONY_ANSWER
        for opening, closing in TAGS:
            if prompt.rstrip().endswith(opening):
                return f"\n{closing}\n\n"
        return ""

    async def _parted(
        self, raw: AsyncGenerator[Delta, None], prompt: str, *, schema: bool
    ) -> AsyncGenerator[Delta, None]:
        parser = (
            HarmonyParser()
            if self._harmony and not schema
            else ThinkParser(opened=opens_thinking(prompt))
        )
        async with aclosing(raw):
            async for delta in raw:
                if delta.content:
                    for piece in parser.feed(delta.content):
                        yield piece
                if delta.finish_reason is not None:
                    for piece in parser.finish():
                        yield piece
                if (rest := replace(delta, content="")) != Delta():
                    yield rest

    async def count_tokens(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()
    ) -> int:
        """Tokens of the prompt that these messages make."""
        messages, tools = self._shown(messages, tools)
        return len(self._model.tokenize(self._template.render(messages, tools, None)))

    async def close(self) -> None:
        """Wait for the request that runs to notice, and free the model."""
        await asyncio.to_thread(self._free)

    def _free(self) -> None:
        with self._working:
            if not self._closed:
                self._closed = True
                self._model.close()


class _Run:
    """One generation, in the thread that does it."""

    def __init__(
        self,
        native: Native,
        slots: Slots,
        request: ChatRequest,
        prompt: list[int],
        scales: Sequence[float],
    ) -> None:
        self._native = native
        self._slots = slots
        self._request = request
        self._prompt = prompt
        self._scales = tuple(scales)
        self._text = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def go(self, sampler: Sampler, emit: Emit, *, keep_markers: bool) -> None:
        started = time.perf_counter()
        self._native.set_scales(self._scales)
        reuse = self._request.sampling.seed is None
        slot, cached = self._slots.take(self._prompt, self._scales, reuse=reuse)
        for at in range(cached, len(self._prompt), self._native.batch):
            self._slots.decode(slot, self._prompt[at : at + self._native.batch])
            if emit(Delta()):
                return
        evaluated = time.perf_counter()
        count = 0
        reason: FinishReason = "length"
        limit = self._request.sampling.max_tokens or self._native.size
        while count < limit:
            token = sampler.draw()
            count += 1
            found = self._logprob(token)
            if self._native.ends(token):
                reason = "stop"
                break
            text, stopped = self._said(token, keep_markers)
            if stopped:
                emit(Delta(content=text, logprobs=found))
                self._text = ""
                reason = "stop"
                break
            if emit(Delta(content=text, logprobs=found)):
                return
            if len(slot.tokens) + 1 >= self._native.size:
                break
            try:
                self._slots.decode(slot, [token])
            except NoRoomError:
                break
        if self._text:
            emit(Delta(content=self._text))
        emit(
            Delta(
                finish_reason=reason,
                usage=Usage(len(self._prompt), count, cached),
                timings=Timings(
                    prompt_s=evaluated - started, generate_s=time.perf_counter() - evaluated
                ),
            )
        )

    def _logprob(self, token: int) -> tuple[TokenLogprob, ...]:
        wanted = self._request.logprobs
        return () if wanted is None else (logprob(self._native, token, wanted),)

    def _said(self, token: int, keep_markers: bool) -> tuple[str, bool]:
        """The text that is certain after this token, and whether a stop text has come."""
        piece = self._native.piece(token, special=keep_markers)
        if not piece and not keep_markers:
            marker = self._native.piece(token, special=True)
            if marker.decode("utf-8", "replace") in _KEPT_MARKERS:
                piece = marker
        self._text += self._decoder.decode(piece)
        stops = self._request.sampling.stop
        ends = [at for stop in stops if (at := self._text.find(stop)) >= 0]
        if ends:
            return self._text[: min(ends)], True
        held = max((held_back(self._text, stop) for stop in stops), default=0)
        ready = self._text[: len(self._text) - held]
        self._text = self._text[len(ready) :]
        return ready, False
