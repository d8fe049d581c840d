"""One profile's view of an engine that several use."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from oss.contracts.backend import Engine
from oss.contracts.errors import BackendError, CapabilityError, OssError
from oss.contracts.messages import Message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence

    from oss.contracts.chat import ChatRequest, Delta
    from oss.contracts.messages import ToolSpec

SILENCE_S = 30.0
"""After so long without a word from an engine it is asked whether it lives."""

ALIVE_S = 15.0
"""How long it has to say so."""


class SharedEngine(Engine):
    """Sets the adapters of each request, and finds out when the engine is dead.

    :param scales: of every open adapter; 0 for those of other profiles.
    :param on_death: called once when the engine is found dead.
    :param silence: seconds without a delta after which a running request looks.
    """

    def __init__(
        self,
        engine: Engine,
        scales: Mapping[str, float],
        on_death: Callable[[], None],
        silence: float = SILENCE_S,
    ) -> None:
        self.info = engine.info
        self._engine = engine
        self._scales = dict(scales)
        self._on_death = on_death
        self._silence = silence

    async def chat(self, request: ChatRequest) -> AsyncIterator[Delta]:
        """Stream the answer; closing the iterator stops the generation."""
        scales = {**self._scales, **request.adapter_scales}
        stream: AsyncGenerator[Delta, None] = self._engine.chat(  # type: ignore[assignment]
            replace(request, adapter_scales=scales)
        )
        try:
            while True:
                try:
                    delta = await self._next(stream)
                except StopAsyncIteration:
                    return
                yield delta
        except BackendError as error:
            if not isinstance(error, CapabilityError):
                await self._look()
            raise
        finally:
            await stream.aclose()

    async def count_tokens(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()
    ) -> int:
        """By the engine's own template and tokenizer."""
        try:
            return await self._engine.count_tokens(messages, tools)
        except BackendError as error:
            if not isinstance(error, CapabilityError):
                await self._look()
            raise

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text."""
        return await self._engine.embed(texts)

    async def _next(self, stream: AsyncGenerator[Delta, None]) -> Delta:
        step = asyncio.ensure_future(anext(stream))
        try:
            while not step.done():
                await asyncio.wait({step}, timeout=self._silence)
                if not step.done() and not await self._look():
                    raise BackendError(
                        f"the engine of '{self.info.model}' died in the middle of its answer",
                        hint="ask again: a new one is started",
                    )
            return step.result()
        finally:
            if not step.done():
                step.cancel()
                await asyncio.wait({step})

    async def _look(self) -> bool:
        """Whether the engine lives; tells ``on_death`` when it does not."""
        try:
            await asyncio.wait_for(self._engine.count_tokens((Message("user", "a"),)), ALIVE_S)
        except (OssError, OSError, asyncio.TimeoutError):
            self._on_death()
            return False
        return True
