"""Open engines, shared: profiles with one model use one engine, and unused ones are freed."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from oss.contracts.errors import BusyError
from oss.engines.heap import give_back, keep_large_apart
from oss.models.memory import machine_memory_now
from oss.turn.keeper import EngineKeeper
from oss.turn.shared import SharedEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import Engine
    from oss.models.memory import MachineMemory
    from oss.turn.spec import EngineSpec

KEEP_ALIVE_S = 300.0
"""Seconds that an engine stays open after its last use."""

WAIT_S = 120.0
"""Seconds that a request waits for the memory that other engines use."""


@dataclass
class Loaded:
    """An engine of the pool.

    :ivar users: requests that hold it.
    :ivar need: bytes of memory it was estimated to take; 0 where unknown.
    :ivar engine: once it is open.
    :ivar retired: gets no new requests, and goes when the last one ends.
    """

    spec: EngineSpec
    need: int
    keeper: EngineKeeper
    users: int = 0
    used: float = field(default_factory=time.monotonic)
    since: float = field(default_factory=time.time)
    retired: bool = False
    timer: asyncio.TimerHandle | None = None
    engine: Engine | None = None

    def retire(self) -> None:
        """Give it no new requests."""
        self.retired = True

    def serves(self, spec: EngineSpec) -> bool:
        """Whether requests of that engine can run on this one."""
        if self.retired or _base(self.spec) != _base(spec):
            return False
        if "per_request_adapters" not in spec.capabilities:
            return self.spec.adapters == spec.adapters
        here = {ref.name: ref.path for ref in self.spec.adapters}
        return all(here.get(ref.name) == ref.path for ref in spec.adapters)


class EnginePool:
    """Lends engines.

    :param keep_alive: seconds that an engine stays open after its last use; below 0 for ever.
    :param wait: seconds that a request waits for memory that other engines use.
    :param memory: says what the machine has.
    """

    def __init__(
        self,
        *,
        keep_alive: float = KEEP_ALIVE_S,
        wait: float = WAIT_S,
        memory: Callable[[], MachineMemory] = machine_memory_now,
    ) -> None:
        keep_large_apart()
        self._keep_alive = keep_alive
        self._wait = wait
        self._memory = memory
        self._loaded: list[Loaded] = []
        self._expected: list[EngineSpec] = []
        self._changed = asyncio.Event()
        self._opened = 0
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def held(self) -> int:
        """Bytes that the engines take, as estimated; they are given back when there is need."""
        return sum(each.need for each in self._loaded)

    @property
    def loaded(self) -> tuple[Loaded, ...]:
        """The engines that are open or opening."""
        return tuple(self._loaded)

    def expect(self, specs: Iterable[EngineSpec]) -> None:
        """Say which engines may be asked for, so that one is opened with the adapters of all."""
        self._expected = list(specs)

    @asynccontextmanager
    async def lease(self, spec: EngineSpec) -> AsyncIterator[Engine]:
        """The engine, opened if need be; it stays open at least until the context is left.

        :raises BusyError: there is no memory for it beside engines that are in use.
        :raises ModelError: the model is broken, or does not fit.
        :raises BackendError: the engine could not start.
        """
        loaded = await self._take(spec)
        try:
            try:
                engine = loaded.engine = await loaded.keeper.engine()
            except Exception:
                loaded.retired = True
                raise
            yield SharedEngine(engine, self._scales(loaded, spec), loaded.retire)
        finally:
            loaded.users -= 1
            loaded.used = time.monotonic()
            self._rest(loaded)

    async def unload(self, loaded: Loaded) -> None:
        """Free an engine now; requests on it fail."""
        loaded.retired = True
        await self._close(loaded)

    async def close(self) -> None:
        """Free every engine."""
        for loaded in self.loaded:
            await self.unload(loaded)
        await asyncio.gather(*self._closing)

    async def _take(self, spec: EngineSpec) -> Loaded:
        until = time.monotonic() + self._wait
        need, memory, state = -1, None, self._state()
        while True:
            for loaded in self._loaded:
                if loaded.serves(spec):
                    if loaded.timer is not None:
                        loaded.timer.cancel()
                    loaded.users += 1
                    return loaded
            for loaded in self.loaded:
                if _base(loaded.spec) == _base(spec) and not _conflict(loaded.spec, spec):
                    loaded.retired = True  # its successor has its adapters too
                    if loaded.users == 0:
                        await self._close(loaded)
            if memory is None or state != self._state():  # another one takes its part meanwhile
                state = self._state()
                if need < 0:
                    need = await asyncio.to_thread(memory_need, spec)
                memory = await asyncio.to_thread(self._memory)
                continue
            if not self._loaded or self._fits(need, memory):
                return self._open(spec, need)
            idle = min(
                (each for each in self._loaded if not each.users),
                key=lambda each: each.used,
                default=None,
            )
            if idle is not None:
                await self.unload(idle)
            else:
                await self._wait_for_change(spec, need, until)
            memory = None

    def _state(self) -> tuple[int, list[bool]]:
        """Changes when an engine is opened, has all its memory, or is closed."""
        return self._opened, [each.keeper.ready for each in self._loaded]

    def _open(self, spec: EngineSpec, need: int) -> Loaded:
        adapters = {ref.name: ref for ref in spec.adapters}
        if "per_request_adapters" in spec.capabilities:
            for other in (*self._expected, *(each.spec for each in self._loaded)):
                if _base(other) == _base(spec) and not _conflict(other, spec):
                    for ref in other.adapters:
                        adapters.setdefault(ref.name, ref)
        whole = replace(spec, adapters=tuple(adapters.values()))
        loaded = Loaded(whole, need, EngineKeeper(whole.open), users=1)
        self._loaded.append(loaded)
        self._opened += 1
        return loaded

    @staticmethod
    def _scales(loaded: Loaded, spec: EngineSpec) -> dict[str, float]:
        own = {ref.name: ref.scale for ref in spec.adapters}
        return {ref.name: own.get(ref.name, 0.0) for ref in loaded.spec.adapters}

    def _fits(self, need: int, memory: MachineMemory) -> bool:
        opening = sum(each.need for each in self._loaded if not each.keeper.ready)
        return need == 0 or memory.total == 0 or need + opening <= memory.usable

    async def _wait_for_change(self, spec: EngineSpec, need: int, until: float) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), max(until - time.monotonic(), 0.01))
        except asyncio.TimeoutError:
            names = ", ".join(sorted({each.spec.model.name for each in self._loaded}))
            raise BusyError(
                f"'{spec.model.name}' needs {need / 2**30:.1f} GiB of memory, which is not free "
                f"while {names} {'is' if len(self._loaded) == 1 else 'are'} in use",
                hint="try again later, or choose a smaller model or context",
            ) from None

    def _rest(self, loaded: Loaded) -> None:
        """What happens to an engine when a request has left it."""
        if loaded.users == 0 and loaded in self._loaded:
            if loaded.retired or self._keep_alive == 0:
                self._close_aside(loaded)
            elif self._keep_alive > 0:
                loop = asyncio.get_running_loop()
                loaded.timer = loop.call_later(self._keep_alive, self._close_idle, loaded)
        self._stir()

    def _stir(self) -> None:
        """Let those who wait for memory look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _close_idle(self, loaded: Loaded) -> None:
        if loaded.users == 0:
            loaded.retired = True
            self._close_aside(loaded)

    def _close_aside(self, loaded: Loaded) -> None:
        loaded.retired = True
        task = asyncio.create_task(self._close(loaded))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, loaded: Loaded) -> None:
        if loaded.timer is not None:
            loaded.timer.cancel()
        try:
            await loaded.keeper.close()
            await asyncio.to_thread(give_back)
        finally:
            if loaded in self._loaded:
                self._loaded.remove(loaded)
            self._stir()


def memory_need(spec: EngineSpec) -> int:
    """Bytes that the engine will take; 0 where it cannot be known from files here."""
    from oss.models import estimate_memory, inspect_model
    from oss.models.memory import least_context

    if spec.model.path is None:
        return 0
    facts = inspect_model(spec.model.path)
    context = spec.options.get("context") or least_context(facts)
    return estimate_memory(facts, context).total


def _base(spec: EngineSpec) -> tuple[str, str, str]:
    """What two engines must have in common to be one but for their adapters."""
    options = json.dumps(spec.options, sort_keys=True, default=str)
    return spec.backend_name, str(spec.model.path or spec.model.ref), options


def _conflict(one: EngineSpec, other: EngineSpec) -> bool:
    """Whether the adapters of both cannot be open in one engine."""
    if "per_request_adapters" not in one.capabilities:
        return True
    paths = _paths(one.adapters)
    return any(paths.get(ref.name, ref.path) != ref.path for ref in other.adapters)


def _paths(adapters: tuple[AdapterRef, ...]) -> dict[str, object]:
    return {ref.name: ref.path for ref in adapters}
