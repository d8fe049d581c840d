"""An open Hugging Face model as an engine."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar, cast

from oss.contracts.backend import Capability, EngineInfo
from oss.contracts.chat import Delta
from oss.contracts.errors import CapabilityError, ContextOverflowError
from oss.engines.bridge import as_death
from oss.engines.calling import CallingEngine
from oss.engines.harmony import HarmonyParser, is_harmony
from oss.engines.scales import wanted_scales
from oss.engines.thinking import ThinkParser, opens_thinking
from oss.engines.toolcalls import parsed_calls
from oss_plugins.hf_transformers.analysis import ForwardPass, forward_pass
from oss_plugins.hf_transformers.constraint import Constrainer
from oss_plugins.hf_transformers.embedding import embed
from oss_plugins.hf_transformers.prompt import prompt_ids
from oss_plugins.hf_transformers.row import Piece, Row
from oss_plugins.hf_transformers.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from oss.contracts.chat import ChatRequest, Sampling
    from oss.contracts.messages import Message, ToolSpec
    from oss_plugins.hf_transformers.loading import Loaded

T = TypeVar("T")


class TransformersEngine(CallingEngine):
    """A model on torch. :meth:`analyse` looks inside it."""

    def __init__(self, name: str, loaded: Loaded, options: Mapping[str, Any]) -> None:
        self._loaded = loaded
        template = loaded.tokenizer.chat_template or ""
        self._harmony = is_harmony(template)
        self.native_tools = "tools" in template and (self._harmony or "<tool_call>" in template)
        self._constrainer: Constrainer | None = None
        self._batch = options["batch"]
        self._worker = Worker(loaded, self._batch)
        capabilities = {
            Capability.LOGPROBS,
            Capability.EMBEDDINGS,
            Capability.REASONING,
            Capability.ADAPTERS,
            Capability.PER_REQUEST_ADAPTERS,
            Capability.BATCHING,
        }
        if find_spec("llguidance") and loaded.tokenizer.is_fast:
            capabilities |= {Capability.TOOLS, Capability.JSON_SCHEMA}
        elif self.native_tools:
            capabilities.add(Capability.TOOLS)
        if loaded.experts:
            capabilities.add(Capability.EXPERT_ROUTING)
        self.info = EngineInfo(
            "transformers",
            name,
            loaded.context,
            frozenset(capabilities),
            {
                "device": str(loaded.model.device),
                "dtype": str(loaded.model.dtype).removeprefix("torch."),
                "batch": str(options["batch"]),
            },
        )

    def close(self) -> None:
        """End what runs and free the model."""
        self._worker.close()
        del self._loaded

    async def count_tokens(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()
    ) -> int:
        """Tokens of the prompt that these messages make."""
        self._worker.check()
        messages, tools = self._shown(messages, tools)
        return len(prompt_ids(self._loaded.tokenizer, messages, tools, None))

    async def analyse(self, prompt: str | Sequence[Message]) -> ForwardPass:
        """Logits, and the router's logits of a mixture of experts, of every token of a prompt.

        Beyond the contract of engines: for looking at a model, not for answering. A text is
        taken as it is; messages go through the chat template. The adapters act at the scales
        they were opened with.
        """
        tokenizer = self._loaded.tokenizer
        ids: list[int] = (
            tokenizer(prompt)["input_ids"]
            if isinstance(prompt, str)
            else prompt_ids(tokenizer, prompt, (), None)
        )
        self._check_fits(len(ids))
        return await self._alone(lambda: forward_pass(self._loaded, ids))

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector of length 1 for each text, pooled as the model's files say. Adapters act at
        the scales they were opened with.
        """
        if not texts:
            return []
        tokenizer = self._loaded.tokenizer
        rows = [tokenizer(text)["input_ids"] or [tokenizer.eos_token_id or 0] for text in texts]
        for row in rows:
            self._check_fits(len(row))
        vectors: list[list[float]] = []
        for start in range(0, len(rows), self._batch):
            part = rows[start : start + self._batch]
            vectors += await self._alone(partial(embed, self._loaded, part, self._loaded.pooling))
        return vectors

    async def _alone(self, work: Callable[[], T]) -> T:
        """The result of a function that needs the model for itself."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(found: T | None, error: Exception | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(cast("T", found))

        def run() -> None:
            try:
                found = work()
            except BaseException as error:
                loop.call_soon_threadsafe(settle, None, as_death(error))
                if not isinstance(error, Exception):
                    raise
            else:
                loop.call_soon_threadsafe(settle, found, None)

        self._worker.submit(run)
        return await future

    async def _prepare(self, request: ChatRequest) -> None:
        acting = wanted_scales(self._loaded.adapters, request.adapter_scales)
        if any(scale != 1 for _, scale in acting) and not self._loaded.scalable:
            raise CapabilityError(
                f"adapter '{acting[0][0].name}' acts as trained or not at all: "
                "its method has no scale",
                hint="use scale 1 or 0",
            )
        if request.json_schema is not None:
            self._need(Capability.JSON_SCHEMA)
        if request.tools:
            self._need(Capability.TOOLS)

    def _need(self, capability: Capability) -> None:
        if capability not in self.info.capabilities:
            raise CapabilityError(
                f"backend 'transformers' has no {capability.value} for this model",
                hint="pip install llguidance"
                if not find_spec("llguidance")
                else "its tokenizer is not one of the fast ones; use backend llamacpp or vllm",
            )

    def _check_fits(self, tokens: int) -> None:
        if tokens >= self.info.context:
            raise ContextOverflowError(
                f"the prompt has {tokens} tokens, and the context {self.info.context}",
                hint="shorten it, or raise model.context",
            )

    async def _generate(
        self, request: ChatRequest, call: Mapping[str, Any] | None
    ) -> AsyncGenerator[Delta, None]:
        deltas = self._parsed(request, call)
        if request.tools and not self._harmony:
            deltas = parsed_calls(deltas)
        async with aclosing(deltas):
            async for delta in deltas:
                yield delta

    async def _parsed(
        self, request: ChatRequest, call: Mapping[str, Any] | None
    ) -> AsyncGenerator[Delta, None]:
        """The answer with thinking, and Harmony's calls, apart from the text."""
        tokenizer = self._loaded.tokenizer
        ids = prompt_ids(tokenizer, request.messages, request.tools, request.effort)
        opened = not self._harmony and opens_thinking(tokenizer.decode(ids[-8:]))
        parser = HarmonyParser() if self._harmony else ThinkParser(opened=opened)
        async with aclosing(self._pieces(request, ids, call)) as pieces:
            async for piece in pieces:
                found = parser.feed(piece.text) if piece.text else []
                if piece.finish_reason is not None:
                    found += parser.finish()
                if piece.logprobs:
                    first, *rest = found or [Delta()]
                    found = [replace(first, logprobs=piece.logprobs), *rest]
                for delta in found:
                    yield delta
                if piece.finish_reason is not None:
                    yield Delta(
                        finish_reason=piece.finish_reason, usage=piece.usage, timings=piece.timings
                    )

    async def _pieces(
        self, request: ChatRequest, ids: list[int], call: Mapping[str, Any] | None
    ) -> AsyncGenerator[Piece, None]:
        self._check_fits(len(ids))
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[Piece | BaseException] = asyncio.Queue()

        def emit(piece: Piece | BaseException) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(queue.put_nowait, piece)

        room = self.info.context - len(ids)
        constraint = None
        if request.json_schema is not None:
            constraint = (await self._get_constrainer()).for_schema(request.json_schema)
        elif call is not None:
            constraint = (await self._get_constrainer()).for_call(call)
        acting = wanted_scales(self._loaded.adapters, request.adapter_scales)
        row = Row(
            ids,
            self._settled(request.sampling),
            min(request.sampling.max_tokens or room, room),
            self._loaded.eos,
            self._loaded.tokenizer,
            emit,
            {adapter.name: scale for adapter, scale in acting},
            request.logprobs,
            constraint,
            keep_special=self._harmony,
        )
        self._worker.submit(row)
        try:
            while True:
                piece = await queue.get()
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
                if piece.finish_reason is not None:
                    return
        finally:
            row.cancelled = True

    async def _get_constrainer(self) -> Constrainer:
        if self._constrainer is None:
            self._constrainer = await asyncio.to_thread(
                Constrainer,
                self._loaded.tokenizer,
                self._loaded.model.config.get_text_config().vocab_size,
                self._loaded.eos,
            )
        return self._constrainer

    def _settled(self, sampling: Sampling) -> Sampling:
        """What a request leaves open, by the model's own ``generation_config.json``; a model
        that says nothing answers greedily, as in transformers.
        """
        own = self._loaded.model.generation_config
        drawn = own.do_sample or any(
            value is not None for value in (sampling.top_p, sampling.top_k, sampling.min_p)
        )
        if sampling.temperature is None:
            temperature = (own.temperature or 1.0) if drawn else 0.0
            sampling = replace(sampling, temperature=temperature)
        if own.do_sample:
            for name in ("top_p", "top_k", "min_p"):
                if getattr(sampling, name) is None:
                    sampling = replace(sampling, **{name: getattr(own, name)})
        return sampling
