"""What the endpoints share: models, engines, the queue, and one answer."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from oss.contracts.messages import Message
from oss.turn.events import Done, Reasoning, Text
from oss_plugins.serve.catalogue import Catalogue
from oss_plugins.serve.errors import ApiError, refused
from oss_plugins.serve.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from oss.contracts.backend import Engine
    from oss.plugins.manager import Plugins
    from oss.turn.events import Event
    from oss.turn.ingredients import Ingredients
    from oss.turn.pool import EnginePool
    from oss_plugins.serve.asks import Ask
    from oss_plugins.serve.catalogue import Served
    from oss_plugins.serve.settings import Settings


class Queue:
    """Lets ``parallel`` requests run and ``waiting`` wait, in order; refuses the rest."""

    def __init__(self, parallel: int, waiting: int, metrics: Metrics) -> None:
        self._parallel = parallel
        self._limit = waiting
        self._metrics = metrics
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._took = 1.0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for one's turn.

        :raises ApiError: 429, the queue is full.
        """
        await self._enter()
        begun = time.monotonic()
        try:
            yield
        finally:
            self._took = 0.8 * self._took + 0.2 * (time.monotonic() - begun)
            self._leave()

    async def _enter(self) -> None:
        if self._running < self._parallel and not self._waiting:
            self._running += 1
            self._metrics.running.set(self._running)
            return
        if len(self._waiting) >= self._limit:
            seconds = max(1, round(self._took * (len(self._waiting) + 1) / self._parallel))
            raise ApiError(
                429,
                f"{self._running} requests run and {len(self._waiting)} wait",
                code="queue_full",
                headers={"Retry-After": str(min(seconds, 600))},
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._metrics.waiting.set(len(self._waiting))
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
                self._metrics.waiting.set(len(self._waiting))
            elif turn.done() and not turn.cancelled():
                self._leave()  # the place came at the same moment
            raise

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            self._metrics.waiting.set(len(self._waiting))
            if not turn.done():
                turn.set_result(None)
                return
        self._running -= 1
        self._metrics.running.set(self._running)


class Service:
    """One server's state."""

    def __init__(self, plugins: Plugins, settings: Settings, pool: EnginePool) -> None:
        self.settings = settings
        self.plugins = plugins
        self.pool = pool
        self.metrics = Metrics()
        self.catalogue = Catalogue(
            plugins, settings.profiles, settings.parallel, lambda: self.pool.held
        )
        self.queue = Queue(settings.parallel, settings.queue, self.metrics)
        self._expected = -1

    def check(self, ask: Ask) -> Served:
        """Refuse what cannot be answered, before anything is loaded or waited for.

        :raises ApiError: no such model; a limit is passed.
        :raises OssError: the profile or its engine cannot do it.
        """
        served = self.catalogue.find(ask.model)
        made = served.session.ingredients
        limit = self.settings.max_tokens
        if limit is not None and (ask.sampling.max_tokens or 0) > limit:
            raise refused(f"at most {limit} tokens may be asked for", "max_tokens")
        served.session.check(ask.prompt, (), ask.json_schema, ask.logprobs)
        if ask.tools:
            made.require({"tools": "the request's tools"}, self.plugins)
        known = {ref.name for ref in served.spec.adapters}
        if unknown := sorted(set(ask.scales) - known):
            raise refused(
                f"no adapter '{unknown[0]}'; adapters: {', '.join(sorted(known)) or 'none'}",
                "adapter_scales",
            )
        return served

    @asynccontextmanager
    async def engine(self, served: Served) -> AsyncIterator[Engine]:
        """The model's engine, once the request's turn has come; errors as
        :meth:`oss.turn.pool.EnginePool.lease`.

        :raises ApiError: 429, the queue is full.
        """
        if self._expected != self.catalogue.version:
            self._expected = self.catalogue.version
            self.pool.expect(self.catalogue.specs())
        async with self.queue.place(), self.pool.lease(served.spec) as engine:
            self.metrics.engines.set(len(self.pool.loaded))
            yield engine

    async def answer(
        self, served: Served, ask: Ask, engine: Engine, came: float
    ) -> AsyncGenerator[Event, None]:
        """The events of one answer.

        :param came: ``time.monotonic()`` when the request came.
        """
        first = True
        made = self._made(served.session.ingredients, ask)
        session = served.session.on_behalf(engine, made, ask.tools, ask.choice)
        session.scales = dict(ask.scales)
        events = session.turn(
            ask.history,
            ask.prompt,
            tail=ask.tail,
            json_schema=ask.json_schema,
            logprobs=ask.logprobs,
        )
        async with aclosing(events):
            async for event in events:
                if first and isinstance(event, Text | Reasoning | Done):
                    first = False
                    self.metrics.first_token.labels(served.name).observe(time.monotonic() - came)
                if isinstance(event, Done):
                    self.metrics.count(served.name, event)
                    self.plugins.notify("oss_after_turn", messages=event.prompt, done=event)
                yield event

    def _made(self, made: Ingredients, ask: Ask) -> Ingredients:
        given = {
            name: value
            for name in ask.sampling.__dataclass_fields__
            if (value := getattr(ask.sampling, name)) not in (None, ())
        }
        sampling = replace(made.sampling, **given)
        if sampling.max_tokens is None and self.settings.max_tokens is not None:
            sampling = replace(sampling, max_tokens=self.settings.max_tokens)
        return replace(
            made,
            sampling=sampling,
            effort=ask.effort or made.effort,
            opening=with_system(made.opening, ask.system),
        )


def with_system(opening: tuple[Message, ...], text: str) -> tuple[Message, ...]:
    """The persona's messages with a program's system text after the persona's own: one message,
    because most templates know one and some drop a second in silence.
    """
    if not text:
        return opening
    if opening and opening[0].role == "system":
        first = replace(opening[0], content=f"{opening[0].content}\n\n{text}")
        return (first, *opening[1:])
    return (Message("system", text), *opening)
