"""Runs a blocking or callback engine in a thread and hands what it makes to asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from oss.contracts.errors import EngineDiedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

T = TypeVar("T")


def as_death(error: BaseException) -> Exception:
    """What ended an engine's thread, as its readers get it."""
    if isinstance(error, Exception):
        return error
    died = EngineDiedError(
        f"the engine's thread was ended ({type(error).__name__})",
        hint="ask again: a new engine is started",
    )
    died.__cause__ = error
    return died


class ThreadStream(Generic[T]):
    """One producer thread, one asyncio reader.

    ``produce`` runs in a thread of its own and gets ``emit``. ``emit(item)`` hands the item over
    and returns ``True`` when the reader is gone: the producer should then return. What the
    producer raises is raised in the reader. Items that arrive while the reader is busy are
    handed over with one wake-up of the event loop. A producer that is ended from outside
    (``SystemExit`` in its thread) is :class:`~oss.contracts.errors.EngineDiedError` in the reader:
    raised there as it is, it would end the whole program.
    """

    def __init__(self, produce: Callable[[Callable[[T], bool]], None]) -> None:
        self._produce = produce
        self._loop = asyncio.get_running_loop()
        self._items: deque[T] = deque()
        self._wake = asyncio.Event()
        self._lock = threading.Lock()
        self._scheduled = False
        self._closed = False
        self._done = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="oss-engine")

    def _run(self) -> None:
        try:
            self._produce(self._emit)
        except BaseException as error:  # noqa: BLE001  raised again in the reader
            self._error = error
        finally:
            with self._lock:
                self._done = True
            self._notify()

    def _emit(self, item: T) -> bool:
        if self._closed:
            return True
        self._items.append(item)
        self._notify()
        return self._closed

    def _notify(self) -> None:
        with self._lock:
            if self._scheduled or self._closed:
                return
            self._scheduled = True
            try:
                self._loop.call_soon_threadsafe(self._wake.set)
            except RuntimeError:  # the loop is closed: nobody reads any more
                self._closed = True

    async def read(self) -> AsyncGenerator[T, None]:
        """Start the producer and yield what it emits; closing this stops the producer."""
        self._thread.start()
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                with self._lock:
                    self._scheduled = False
                    done = self._done
                while self._items:
                    yield self._items.popleft()
                if done:
                    if self._error is not None:
                        raise as_death(self._error)
                    return
        finally:
            with self._lock:
                self._closed = True

    def join(self) -> None:
        """Wait for the producer thread; call it after the reader is closed."""
        with self._lock:
            self._closed = True
        if self._thread.ident is not None:
            self._thread.join()
