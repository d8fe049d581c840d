"""The engine on a server of our own: starts it, and starts it anew when it has died."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import BackendError, EngineDiedError
from oss.engines.abilities import Abilities
from oss.engines.openai_dialect import find_model
from oss.engines.openai_engine import OpenAIEngine
from oss.engines.openai_http import OpenAIClient, ServerRefusedError
from oss_plugins.vllm_server.lora import ManagedAdapters

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import EngineInfo
    from oss.contracts.chat import ChatRequest, Delta
    from oss.contracts.messages import Message, ToolSpec
    from oss_plugins.vllm_server.process import ManagedServer


class ManagedEngine(OpenAIEngine):
    """A model on a vLLM of our own."""

    def __init__(
        self,
        info: EngineInfo,
        server: ManagedServer,
        adapters: Sequence[AdapterRef],
        options: Mapping[str, Any],
        *,
        native_tools: bool,
    ) -> None:
        self.info = info
        self._server = server
        self._adapter_refs = tuple(adapters)
        self._options = options
        self._parses_calls = native_tools
        self._starting = asyncio.Lock()
        self._adapters: ManagedAdapters | None = None

    async def start(self) -> None:
        """Start the server, find the model, and see that each adapter acts."""
        await self._server.start()
        client = OpenAIClient(
            self._server.url,
            key=self._server.key,
            timeout=self._options["timeout"],
            retries=0,  # nobody but us is on it: a failure is one
        )
        self.client = client
        model = await find_model(client, self.info.model)
        known = Abilities(None)
        known["tools"], known["json_schema"] = self._parses_calls, True
        details = {"url": self._server.url, "server": "vllm", "started": "by oss"}
        super().__init__(
            replace(self.info, context=model.context, details=details), client, model, known
        )
        self._adapters = ManagedAdapters(self._adapter_refs, client, never_bare=self._server.on_cpu)
        await self._adapters.check(model.name)

    async def aclose(self) -> None:
        """Stop the server."""
        await self._leave()
        await self._server.stop()

    async def count_tokens(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()
    ) -> int:
        """Tokens of the prompt that these messages make."""
        await self._live()
        return await super().count_tokens(messages, tools)

    async def body(self, request: ChatRequest) -> dict[str, Any]:
        """The body, with the adapter's name as the model's."""
        body = await super().body(request)
        if self._adapters is not None:
            name = await self._adapters.model_for(request.adapter_scales)
            body["model"] = name or body["model"]
        return body

    async def _prepare(self, request: ChatRequest) -> None:
        await self._live()
        await super()._prepare(request)

    async def _generate(
        self, request: ChatRequest, call: Mapping[str, Any] | None
    ) -> AsyncGenerator[Delta, None]:
        try:
            async with aclosing(super()._generate(request, call)) as deltas:
                async for delta in deltas:
                    yield delta
        except ServerRefusedError:
            raise  # it lives: it has answered
        except BackendError as error:
            if not await self._server.ended(within=3.0):
                raise
            raise EngineDiedError(
                "the vLLM server died in the middle of an answer",
                hint=f"the next request starts it anew; its last words:\n"
                f"{self._server.last_words()}",
            ) from error

    async def _live(self) -> None:
        """Start the server anew where it has died."""
        if self._server.running:
            return
        async with self._starting:
            if not self._server.running:
                await self._leave()
                await self._server.stop()
                await self.start()

    async def _leave(self) -> None:
        if self._adapters is not None:
            self._adapters.close()
            self._adapters = None
            await self.client.aclose()
