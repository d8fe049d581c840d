"""Engines that several profiles share."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oss.contracts.adapter import AdapterRef
from oss.contracts.backend import Capability
from oss.contracts.chat import ChatRequest
from oss.contracts.errors import BackendError, BusyError, EngineDiedError, ModelError
from oss.contracts.messages import Message
from oss.contracts.model import LocalModel
from oss.models.memory import MachineMemory
from oss.testing.fakes import FakeAnswer, FakeBackend
from oss.turn import pool as room
from oss.turn.pool import EnginePool
from oss.turn.shared import SharedEngine
from oss.turn.spec import EngineSpec

CAPABILITIES = frozenset(capability.value for capability in Capability)
HELLO = ChatRequest((Message("user", "hello"),))


class Watched(FakeBackend):
    """Counts what is open; ``fails`` is raised by the next opening."""

    made: list[Any] = []  # noqa: RUF012
    closed: list[str] = []  # noqa: RUF012
    next_failure: Exception | None = None

    def __init__(self) -> None:
        super().__init__(fails=Watched.next_failure)
        self.engines = Watched.made

    def open(self, model: Any, adapters: Any, options: Any) -> Any:
        from contextlib import asynccontextmanager

        @asynccontextmanager
        async def opened() -> Any:
            async with FakeBackend.open(self, model, adapters, options) as engine:
                await asyncio.sleep(0)
                yield engine
            Watched.closed.append(model.name)

        return opened()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Watched.made, Watched.closed, Watched.next_failure = [], [], None


def spec(name: str, *adapters: AdapterRef, **options: Any) -> EngineSpec:
    model = LocalModel(name, f"fake:{name}", "remote")
    return EngineSpec("fake", Watched, CAPABILITIES, model, adapters, {"context": 64, **options})


def adapter(name: str, scale: float = 1.0, path: str = "") -> AdapterRef:
    return AdapterRef(name, Path(path or name), scale)


def memory(monkeypatch: pytest.MonkeyPatch, size: int) -> Any:
    """A machine of ``size``; every engine takes 1 of it."""
    monkeypatch.setattr(room, "memory_need", lambda spec: 1)
    return lambda: MachineMemory(size, size - len(Watched.made) + len(Watched.closed))


async def settle(pool: EnginePool, count: int) -> None:
    """Until ``count`` engines are left: others close aside, and a thread has a part in it."""
    for _ in range(2000):
        if len(pool.loaded) == count:
            return
        await asyncio.sleep(0.005)
    raise AssertionError([loaded.spec.model.name for loaded in pool.loaded])


async def test_one_model_is_opened_once() -> None:
    pool = EnginePool()

    async def ask() -> None:
        async with pool.lease(spec("a")) as engine:
            assert [d async for d in engine.chat(HELLO)]

    await asyncio.gather(*(ask() for _ in range(5)))
    async with pool.lease(spec("a", answers=["x"])):
        assert len(pool.loaded) == 2  # other options make another engine
    assert len(Watched.made) == 2
    await pool.close()
    assert sorted(Watched.closed) == ["a", "a"]


async def test_adapters_of_several_profiles_in_one_engine() -> None:
    pool = EnginePool()
    one, other = spec("a", adapter("x", 0.5)), spec("a", adapter("y"))
    pool.expect([one, other, spec("b", adapter("z"))])
    for each in (one, other, spec("a")):
        async with pool.lease(each) as engine:
            [d async for d in engine.chat(HELLO)]
            if each is one:
                [d async for d in engine.chat(replace(HELLO, adapter_scales={"x": 0.25}))]
    assert len(Watched.made) == 1
    assert [r.adapter_scales for r in Watched.made[0].requests] == [
        {"x": 0.5, "y": 0.0},
        {"x": 0.25, "y": 0.0},
        {"x": 0.0, "y": 1.0},
        {"x": 0.0, "y": 0.0},
    ]
    await pool.close()


async def test_a_further_adapter_replaces_the_engine_when_it_is_free() -> None:
    pool = EnginePool()
    one, other = spec("a", adapter("x")), spec("a", adapter("y"))
    async with pool.lease(one) as first, pool.lease(other) as second:
        assert len(pool.loaded) == 2
        [d async for d in first.chat(HELLO)]
        [d async for d in second.chat(HELLO)]
    await settle(pool, 1)
    assert {ref.name for ref in pool.loaded[0].spec.adapters} == {"x", "y"}
    async with pool.lease(spec("a", adapter("x", path="elsewhere"))):
        assert len(pool.loaded) == 2  # two adapters of one name cannot be in one engine
    await pool.close()


async def test_unused_engines_go() -> None:
    pool = EnginePool(keep_alive=0.2)
    async with pool.lease(spec("a")):
        await asyncio.sleep(0.3)
        assert pool.loaded
    async with pool.lease(spec("a")):
        assert len(Watched.made) == 1
    await settle(pool, 0)
    assert Watched.closed == ["a"]
    at_once = EnginePool(keep_alive=0)
    async with at_once.lease(spec("a")):
        pass
    await settle(at_once, 0)
    await pool.close()
    await at_once.close()


async def test_idle_engines_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = EnginePool(memory=memory(monkeypatch, 2))
    for name in "abc":
        async with pool.lease(spec(name)):
            pass
    assert Watched.closed == ["a"]
    assert [each.spec.model.name for each in pool.loaded] == ["b", "c"]
    await pool.close()


async def test_one_that_does_not_fit_waits_or_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = EnginePool(memory=memory(monkeypatch, 1), wait=0.2)
    order = []

    async def later() -> None:
        async with pool.lease(spec("b")):
            order.append("b")

    async with pool.lease(spec("a")):
        waiting = asyncio.create_task(later())
        await asyncio.sleep(0.05)
        order.append("a")
    await waiting
    assert order == ["a", "b"]
    async with pool.lease(spec("b")):
        with pytest.raises(BusyError, match=r"'c' needs .* while b is in use"):
            async with pool.lease(spec("c")):
                pass
    await pool.close()


async def test_memory_that_comes_free_at_once_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it is while the one that waits has only just begun to."""
    pool = EnginePool(memory=memory(monkeypatch, 1), wait=60)

    async def brief(name: str) -> None:
        async with pool.lease(spec(name)) as engine:
            assert [d async for d in engine.chat(HELLO)]
            assert len(Watched.made) - len(Watched.closed) == 1

    for _ in range(40):
        await asyncio.wait_for(asyncio.gather(*(brief(name) for name in "abcabc")), 30)
    assert len(pool.loaded) == 1
    await pool.close()


async def test_a_failed_opening_is_tried_again() -> None:
    pool = EnginePool()
    Watched.next_failure = ModelError("broken")
    for _ in range(2):
        with pytest.raises(ModelError, match="broken"):
            async with pool.lease(spec("a")):
                pass
    Watched.next_failure = None
    async with pool.lease(spec("a")) as engine:
        assert engine.info.context == 64
    await settle(pool, 1)
    await pool.close()


async def test_leaving_while_it_opens_keeps_it_for_others() -> None:
    pool = EnginePool()

    async def ask() -> None:
        async with pool.lease(spec("a")):
            await asyncio.sleep(0.01)

    first, second = asyncio.create_task(ask()), asyncio.create_task(ask())
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert len(Watched.made) == 1
    assert pool.loaded[0].users == 0
    await pool.close()


async def test_a_dead_engine_gets_no_new_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = EnginePool()
    async with pool.lease(spec("a")) as engine:

        async def gone(*args: Any) -> int:
            raise BackendError("gone")

        monkeypatch.setattr(Watched.made[0], "count_tokens", gone)
        with pytest.raises(BackendError):
            await engine.count_tokens(())
        async with pool.lease(spec("a")) as other:
            assert len(Watched.made) == 2
            assert [d async for d in other.chat(HELLO)]
    await settle(pool, 1)
    await pool.close()


async def test_closing_an_answer_closes_the_engines() -> None:
    pool = EnginePool()
    async with pool.lease(spec("a", answers=["a b c d"])) as engine:
        async with aclosing(engine.chat(HELLO)) as deltas:  # type: ignore[type-var]
            await anext(deltas)  # type: ignore[call-overload]
        assert Watched.made[0].closed == 1
    await pool.close()


@pytest.mark.parametrize("alive", [True, False])
async def test_an_engine_that_says_nothing_is_looked_after(
    alive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaths, looks = [], []

    async def count(*args: Any) -> int:
        looks.append(args)
        if not alive:
            raise BackendError("gone")
        return 1

    model = LocalModel("a", "fake:a", "remote")
    backend = FakeBackend(FakeAnswer("one two", delay_s=0.2))
    async with backend.open(model, (), {"context": 64}) as engine:
        monkeypatch.setattr(engine, "count_tokens", count)
        shared = SharedEngine(engine, {}, lambda: deaths.append(1), silence=0.02)
        if alive:
            assert [d.content async for d in shared.chat(HELLO)][:2] == ["one", " two"]
            assert deaths == []
        else:
            with pytest.raises(EngineDiedError, match="died in the middle"):
                async for _ in shared.chat(HELLO):
                    pass
            assert deaths
    assert looks
    assert len(asyncio.all_tasks()) == 1


async def test_leaving_a_silent_engine_is_a_cancellation() -> None:
    backend = FakeBackend(FakeAnswer("one two", delay_s=30))
    async with backend.open(LocalModel("a", "fake:a", "remote"), (), {"context": 64}) as engine:
        shared = SharedEngine(engine, {}, lambda: None, silence=0.01)

        async def read() -> None:
            async for _ in shared.chat(HELLO):
                pass

        reading = asyncio.create_task(read())
        await asyncio.sleep(0.05)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert len(asyncio.all_tasks()) == 1


async def test_an_engine_that_says_it_died_is_not_asked_again() -> None:
    pool = EnginePool()
    answers = spec("a")
    async with pool.lease(answers) as engine:
        Watched.made[0]._script.append(FakeAnswer("one", error=EngineDiedError("killed")))
        with pytest.raises(EngineDiedError):
            async for _ in engine.chat(HELLO):
                pass
        assert pool.loaded[0].retired
    await settle(pool, 0)
    async with pool.lease(answers) as engine:
        assert [d async for d in engine.chat(HELLO)]
    await pool.close()
