"""The engine over xllamacpp: llama.cpp's own server, inside this process.

Chat goes through a direct call with a callback; counting goes through the server's port, which
listens on 127.0.0.1 and asks for a random key.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oss.contracts.backend import Capability, EngineInfo
from oss.contracts.errors import BackendError, ContextOverflowError, ModelError, UsageError
from oss.contracts.wire import message_to_wire, tool_to_wire
from oss.engines.bridge import ThreadStream
from oss.engines.calling import template_variables
from oss.engines.loopback import LoopbackClient
from oss.engines.openai_wire import chunk_delta, request_json
from oss.engines.thinking import knows_thinking, opens_thinking, parted
from oss_plugins.llamacpp.engine import (
    CAPABILITIES,
    LlamaCppEngine,
    UnreadableAnswerError,
)
from oss_plugins.llamacpp.signals import keep_signal_handlers
from oss_plugins.llamacpp.stderr import captured_stderr

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.chat import ChatRequest, Delta
    from oss.contracts.messages import Message, ToolSpec
    from oss.contracts.model import LocalModel
    from oss_plugins.llamacpp.settings import Settings

Json = dict[str, Any]

QUIET, ERRORS = 0, 1
"""llama.cpp's verbosity: nothing, or errors alone."""


class XllamaEngine(LlamaCppEngine):
    """A model opened by xllamacpp; answers several requests at once."""

    def __init__(
        self,
        server: Any,
        client: LoopbackClient,
        props: Json,
        info: EngineInfo,
        adapters: Sequence[AdapterRef],
        *,
        separate: bool = False,
    ) -> None:
        caps = props.get("chat_template_caps") or {}
        super().__init__(
            info,
            adapters,
            native_tools=bool(caps.get("supports_tools")),
        )
        self._server = server
        self._client = client
        self._streams: set[ThreadStream[Json]] = set()
        self._scales_seen: set[tuple[float, ...]] = set()
        self._separate = separate
        self._thinks = knows_thinking(props.get("chat_template") or "")

    def forget_scales(self) -> None:
        """What is cached counts as evaluated under the opening scales."""
        self._scales_seen.clear()

    @classmethod
    async def load(
        cls, model: LocalModel, adapters: Sequence[AdapterRef], settings: Settings
    ) -> XllamaEngine:
        """Open the model.

        :raises ModelError: llama.cpp could not load it; the hint has its last words.
        """
        key = os.urandom(32).hex()
        server = await asyncio.to_thread(_load, str(model.path), adapters, settings, key)
        client = LoopbackClient(server.listening_address, key)
        props = await client.get("/props")
        info = EngineInfo(
            backend="llamacpp",
            model=model.name,
            context=props["default_generation_settings"]["n_ctx"],
            capabilities=CAPABILITIES | {Capability.BATCHING},
            details={
                "binding": "xllamacpp",
                "threads": str(settings.threads),
                "slots": str(props["total_slots"]),
            },
        )
        return cls(server, client, props, info, adapters, separate=settings.contexts == "separate")

    async def _generate(
        self, request: ChatRequest, call: Mapping[str, Any] | None
    ) -> AsyncGenerator[Delta, None]:
        body = self._body(request, call)
        free = call is None and request.json_schema is None
        opened = free and self._thinks and opens_thinking(await self._rendered(body))
        if self._server is None:
            raise BackendError("the engine is closed")

        def produce(emit: Callable[[Json], bool]) -> None:
            # No variable may hold the server: the last reference to it is what closes it.
            try:
                self._server.handle_chat_completions(body, emit)
            finally:
                self._streams.discard(stream)

        stream: ThreadStream[Json] = ThreadStream(produce)
        self._streams.add(stream)
        try:
            deltas = self._read(stream.read(), request.logprobs)
            async with aclosing(parted(deltas, opened=opened) if self._thinks else deltas) as parts:
                async for delta in parts:
                    yield delta
        except ValueError as error:  # what the binding makes of a C++ exception
            raise _refusal(str(error)) from error

    async def _read(
        self, chunks: AsyncGenerator[Json, None], logprobs: int | None
    ) -> AsyncGenerator[Delta, None]:
        async with aclosing(chunks):
            async for chunk in chunks:
                if "error" in chunk:
                    raise _error(chunk["error"], self.info)
                delta = chunk_delta(chunk, top=logprobs)
                if delta is not None:
                    yield delta

    async def _rendered(self, body: Json) -> str:
        wanted = ("messages", "tools", "chat_template_kwargs")
        answer = await self._client.post(
            "/apply-template", {name: body[name] for name in wanted if name in body}
        )
        prompt: str = answer["prompt"]
        return prompt

    def _body(self, request: ChatRequest, call: Mapping[str, Any] | None) -> Json:
        body = request_json(
            replace(request, effort=None),
            self.info.model,
            reasoning_field="reasoning_content",
        )
        body["return_progress"] = True  # so that a long prompt can be stopped between batches
        # A prompt evaluated in parts differs in the last bits from one evaluated whole; who
        # gives a seed asks for the same answer again.
        # llama.cpp finds prompts that it has put aside by their tokens alone: one evaluated under
        # other scales of the adapters would be taken for the same. A slot knows its scales; where
        # slots have contexts of their own, nothing is put aside.
        scales = self._scales(request.adapter_scales)
        self._scales_seen.add(tuple(scales))
        unmixed = self._separate or len(self._scales_seen) == 1
        body["cache_prompt"] = request.sampling.seed is None and unmixed
        if call is not None:
            body["grammar"] = _call_or_text(call)
        if request.logprobs == 0:
            body["top_logprobs"] = 1  # 0 reports nothing at all
        if request.effort is not None:
            body["chat_template_kwargs"] = template_variables(request.effort)
        if scales:
            body["lora"] = [{"id": index, "scale": scale} for index, scale in enumerate(scales)]
        return body

    async def count_tokens(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()
    ) -> int:
        """Tokens of the prompt that these messages make."""
        messages, tools = self._shown(messages, tools)
        body: Json = {"messages": [message_to_wire(message) for message in messages]}
        if tools:
            body["tools"] = [tool_to_wire(tool) for tool in tools]
        answer = await self._client.post("/v1/chat/completions/input_tokens", body)
        count: int = answer["input_tokens"]
        return count

    async def close(self) -> None:
        """Stop what runs, free the model and the port."""
        await self._client.close()
        for stream in list(self._streams):
            await asyncio.to_thread(stream.join)
        self._server = None  # the binding stops its threads when the last reference goes


def _load(path: str, adapters: Sequence[AdapterRef], settings: Settings, key: str) -> Any:
    import xllamacpp

    with keep_signal_handlers():
        try:
            return xllamacpp.Server(_params(path, adapters, settings, key, QUIET))
        except RuntimeError:
            pass
        # Once more, for its reasons: errors cannot be turned on without also getting those of
        # every later request on the terminal.
        with captured_stderr() as lines:
            try:
                return xllamacpp.Server(_params(path, adapters, settings, key, ERRORS))
            except RuntimeError as error:
                failure = error
        raise ModelError(
            f"llama.cpp cannot load '{path}'",
            hint=" / ".join(lines[-3:]) or str(failure),
        ) from failure


def _params(
    path: str, adapters: Sequence[AdapterRef], settings: Settings, key: str, verbosity: int
) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.verbosity = verbosity
    # Tokens of other slots are skipped one by one in a context that all share: with 8 answers at
    # once on a CPU that costs a quarter of the speed.
    params.kv_unified = settings.contexts == "shared"
    params.n_ctx = settings.context * (1 if params.kv_unified else settings.slots)
    params.n_parallel = settings.slots
    params.n_batch = settings.batch
    params.n_ubatch = min(settings.micro_batch, settings.batch)
    params.cpuparams.n_threads = settings.threads
    params.cpuparams_batch.n_threads = settings.threads
    params.n_gpu_layers = settings.gpu_layers
    params.fit_params = settings.gpu_layers == -1 and bool(settings.cpu_moe_layers == 0)
    apart = bool(adapters) and settings.contexts == "separate"
    params.cache_ram_mib = 0 if apart else settings.prompt_cache
    # Below this share of a prompt the slot that matches best is not taken up but left as it is,
    # and the prompt looked for among those kept in main memory. llama.cpp's own .1 gives the
    # slot of a conversation to the next one with the same persona, and looks for nothing.
    params.slot_prompt_similarity = 0.5
    cache_type = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{settings.kv_cache.upper()}")
    params.cache_type_k = cache_type
    params.cache_type_v = cache_type
    flash = {"auto": "AUTO", "on": "ENABLED", "off": "DISABLED"}[settings.flash_attention]
    params.flash_attn_type = getattr(
        xllamacpp.llama_flash_attn_type, f"LLAMA_FLASH_ATTN_TYPE_{flash}"
    )
    mode = {
        (True, True): "MMAP_MLOCK",
        (True, False): "MMAP",
        (False, True): "MLOCK",
        (False, False): "NONE",
    }[settings.mmap, settings.mlock]
    params.load_mode = getattr(xllamacpp.llama_load_mode, f"LLAMA_LOAD_MODE_{mode}")
    params.tensor_buft_overrides = expert_overrides(settings.cpu_moe_layers)
    if settings.chat_template:
        params.chat_template = settings.chat_template
    params.warmup = False  # the first prompt warms up as well, and is wanted
    params.api_keys = [key]
    params.hostnames = ["127.0.0.1"]
    params.n_threads_http = 2
    params.ui = False
    params.endpoint_slots = False
    if adapters:
        params.lora_adapters = [
            xllamacpp.CommonAdapterLoraInfo(str(adapter.path), adapter.scale)
            for adapter in adapters
        ]
    return params


def expert_overrides(layers: int) -> str:
    """llama.cpp's tensor overrides that keep the experts of the first layers (-1: of all) in
    main memory.
    """
    experts = r"ffn_(up|down|gate|gate_up)_(ch|)exps"
    if layers < 0:
        return rf"\.{experts}=CPU"
    return ",".join(rf"blk\.{layer}\.{experts}=CPU" for layer in range(layers))


def _call_or_text(call: Mapping[str, Any]) -> str:
    """A grammar (llguidance's) for a call, or any text that does not begin with a brace."""
    return "\n".join(
        (
            "%llguidance {}",
            "start: call | text",
            f"call: %json {json.dumps(call)}",
            r"text: /[^{](.|\n)*/",
        )
    )


def _error(error: Json, info: EngineInfo) -> Exception:
    message = str(error.get("message", error))
    if error.get("type") == "exceed_context_size_error":
        return ContextOverflowError(
            f"the prompt has {error.get('n_prompt_tokens')} tokens, the context of "
            f"'{info.model}' holds {error.get('n_ctx')}",
            hint="shorten it, or raise model.context in the profile",
        )
    return _refusal(message)


def _refusal(message: str) -> Exception:
    _, found, reason = message.partition("JSON schema error")
    if found:
        return UsageError(f"the JSON Schema cannot be used: {reason.strip()}")
    if "parse input" in message:
        return UnreadableAnswerError(f"the model's answer cannot be read: {message}")
    return BackendError(f"llama.cpp: {message}")
