"""Opens an engine once, keeps it, and closes it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from oss.contracts.backend import Engine


class EngineKeeper:
    """The engine of a session.

    One task opens and closes it, as contexts with cancel scopes demand; others wait for it.

    :param opens: makes the context in which the engine is open.
    :param engine: already open; whoever opened it closes it.
    :ivar load_s: seconds that loading took.
    """

    def __init__(
        self, opens: Callable[[], AbstractAsyncContextManager[Engine]], engine: Engine | None = None
    ) -> None:
        self.load_s = 0.0
        self._opens = opens
        self._shared = engine
        self._opening: tuple[asyncio.Task[None], asyncio.Future[Engine]] | None = None
        self._closing = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether the engine can be had without waiting."""
        return self._shared is not None or (self._opening is not None and self._opening[1].done())

    def load(self) -> asyncio.Future[Engine]:
        """Begin to open the engine, if no one has or it failed; returns at once."""
        if self._opening is not None:
            earlier = self._opening[1]
            if earlier.done() and (earlier.cancelled() or earlier.exception()):
                self._opening = None  # it failed: perhaps the server is back, or memory free
        if self._opening is None:
            opened: asyncio.Future[Engine] = asyncio.get_running_loop().create_future()
            if self._shared is not None:
                opened.set_result(self._shared)
                return opened
            self._opening = asyncio.create_task(self._keep(opened)), opened
        return self._opening[1]

    async def engine(self) -> Engine:
        """The open engine.

        :raises ModelError: the model is broken, or does not fit.
        :raises BackendError: the engine could not start.
        """
        return await asyncio.shield(self.load())

    async def close(self) -> None:
        """Free the engine; what runs on it fails."""
        self._closing.set()
        if self._opening is not None:
            task, opened = self._opening
            if not opened.done():
                task.cancel()
            await asyncio.gather(task, return_exceptions=not opened.done())
            self._opening = None

    async def _keep(self, opened: asyncio.Future[Engine]) -> None:
        begun = time.perf_counter()
        try:
            async with self._opens() as engine:
                self.load_s = time.perf_counter() - begun
                opened.set_result(engine)
                await self._closing.wait()
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)  # raised where the engine is awaited
            opened.exception()  # seen, in case a session ends before anyone asks
