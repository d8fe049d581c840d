"""One profile's view of an engine that several use."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from oss.contracts.backend import Engine
from oss.contracts.errors import BackendError, CapabilityError, EngineDiedError, OssError
from oss.contracts.messages import Message

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Callable,
        Coroutine,
        Mapping,
        Sequence,
    )

    from oss.contracts.chat import ChatRequest, Delta
    from oss.contracts.messages import ToolSpec

SILENCE_S = 30.0
"""After so long without a word from an engine it is asked whether it lives."""

ALIVE_S = 15.0
"""How long it has to say so."""


class Watch:
    """Looks after an engine while someone waits for its next word, and ends the waiting when the
    engine is dead. One timer for a whole answer: a task for each token would cost more than
    all else that is done with it here.

    :param look: whether the engine lives.
    :param silence: seconds of waiting after which it is asked.
    """

    def __init__(self, look: Callable[[], Coroutine[None, None, bool]], silence: float) -> None:
        self._look = look
        self._silence = silence
        self._loop = asyncio.get_running_loop()
        self._reader: asyncio.Task[object] | None = None
        self._since = 0.0
        self._timer = self._loop.call_later(silence, self._check)
        self._looking: asyncio.Task[None] | None = None
        self._dead = False

    def __enter__(self) -> None:
        """The current task begins to wait."""
        self._reader = asyncio.current_task()
        self._since = self._loop.time()

    def __exit__(self, *_: object) -> None:
        """It waits no longer."""
        self._reader = None

    def interrupted(self) -> bool:
        """Whether the cancellation that the reader got is this watch's own, and no one else's."""
        task = asyncio.current_task()
        if not self._dead or task is None:
            return False
        return sys.version_info < (3, 11) or task.uncancel() == 0

    async def close(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
        self._timer.cancel()

    def _check(self) -> None:
        waited = self._loop.time() - self._since if self._reader is not None else 0.0
        if waited < self._silence:
            self._timer = self._loop.call_later(self._silence - waited, self._check)
        else:
            self._looking = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        if await self._look():
            self._timer = self._loop.call_later(self._silence, self._check)
        elif self._reader is not None:
            self._dead = True
            self._reader.cancel()


class SharedEngine(Engine):
    """Sets the adapters of each request, and finds out when the engine is dead.

    :param scales: of every open adapter; 0 for those of other profiles.
    :param on_death: called when the engine is found dead, perhaps by several requests.
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
        watch = Watch(self._look, self._silence)
        try:
            while True:
                with watch:
                    delta = await anext(stream, None)
                if delta is None:
                    return
                yield delta
        except asyncio.CancelledError:
            if not watch.interrupted():
                raise
            raise EngineDiedError(
                f"the engine of '{self.info.model}' died in the middle of its answer",
                hint="ask again: a new one is started",
            ) from None
        except BackendError as error:
            await self._look_after(error)
            raise
        finally:
            await watch.close()
            await stream.aclose()

    async def count_tokens(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()
    ) -> int:
        """By the engine's own template and tokenizer."""
        try:
            return await self._engine.count_tokens(messages, tools)
        except BackendError as error:
            await self._look_after(error)
            raise

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text."""
        return await self._engine.embed(texts)

    async def _look_after(self, error: BackendError) -> None:
        if isinstance(error, EngineDiedError):
            self._on_death()
        elif not isinstance(error, CapabilityError):
            await self._look()

    async def _look(self) -> bool:
        """Whether the engine lives; tells ``on_death`` when it does not."""
        try:
            await asyncio.wait_for(self._engine.count_tokens((Message("user", "a"),)), ALIVE_S)
        except (OssError, OSError, asyncio.TimeoutError):
            self._on_death()
            return False
        return True
