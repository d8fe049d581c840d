"""The background server: engines lent to other processes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.adapter import AdapterRef
from oss.contracts.backend import Capability
from oss.contracts.chat import ChatRequest, Delta, Sampling, TokenLogprob, ToolCallDelta, Usage
from oss.contracts.errors import BackendError, BusyError, ContextOverflowError, ModelError
from oss.contracts.messages import Message, ToolCall, ToolSpec
from oss.contracts.model import LocalModel
from oss.engines.engine_wire import (
    delta_from_wire,
    delta_to_wire,
    error_from_wire,
    error_to_wire,
    request_from_wire,
    request_to_wire,
)
from oss.plugins.discovery import EntryPoint
from oss.plugins.manager import Plugins
from oss.testing import fakes
from oss.testing.fakes import FakeAnswer, FakeBackend
from oss.turn.pool import EnginePool
from oss.turn.spec import EngineSpec
from oss.turn.warm import (
    WarmEngine,
    address_file,
    call,
    find_address,
    lent_memory,
    open_engine,
)
from oss.turn.warm_server import WarmServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from oss.testing.program import OssHome


class Scripted(FakeBackend):
    answers: tuple[Any, ...] = ()

    def __init__(self) -> None:
        super().__init__(*Scripted.answers)


@pytest.fixture
def spec(oss_home: OssHome, monkeypatch: pytest.MonkeyPatch) -> EngineSpec:
    Scripted.answers = ()
    monkeypatch.setattr(fakes, "FakeBackend", Scripted)
    model = oss_home.path / "модель.gguf"
    return EngineSpec(
        "fake",
        Scripted,
        frozenset(c.value for c in Capability),
        LocalModel("m", "file:m", "remote", model),
        (AdapterRef("a", model, 0.5),),
        {"context": 512, "answers": []},
    )


@asynccontextmanager
async def background(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EnginePool]:
    from oss.turn import pool as room

    monkeypatch.setattr(room, "memory_need", lambda spec: 0)
    pool = EnginePool()
    plugins = Plugins([EntryPoint("fakes", "oss.testing.plugin", "oss", "1")])
    try:
        async with WarmServer(pool, plugins).listening():
            yield pool
    finally:
        await pool.close()


def hello(text: str = "привет мир") -> ChatRequest:
    return ChatRequest((Message("user", text),), adapter_scales={"a": 0.25})


async def test_answers_come_from_the_background(
    spec: EngineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    Scripted.answers = (FakeAnswer("раз два", reasoning="hm"),)
    async with background(monkeypatch) as pool, open_engine(spec) as engine:
        assert isinstance(engine, WarmEngine)
        assert engine.info.context == 512
        assert Capability.LOGPROBS in engine.info.capabilities
        deltas = [delta async for delta in engine.chat(hello())]
        assert "".join(d.content for d in deltas) == "раз два"
        assert "".join(d.reasoning for d in deltas) == "hm"
        assert deltas[-1].finish_reason == "stop"
        assert await engine.count_tokens([Message("user", "a b")]) == 4
        assert len(await engine.embed(["x", "y"])) == 2
        async with open_engine(spec) as again:
            assert again.info == engine.info
        assert len(pool.loaded) == 1
        inner = pool.loaded[0].engine
        assert inner.requests[0].adapter_scales == {"a": 0.25}  # type: ignore[union-attr]


async def test_what_its_engines_hold_is_lent(
    spec: EngineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lent_memory() == 0
    async with background(monkeypatch) as pool:
        assert await asyncio.to_thread(lent_memory) == 0
        async with open_engine(spec):
            pool.loaded[0].need = 12345
            assert await asyncio.to_thread(lent_memory) == 12345
        address = address_file().read_text(encoding="utf-8")
    address_file().write_text(address, encoding="utf-8")
    assert lent_memory() == 0, "it is dead"


async def test_closing_stops_the_generation(
    spec: EngineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    Scripted.answers = (FakeAnswer("word " * 500, delay_s=0.01),)
    async with background(monkeypatch) as pool, open_engine(spec) as engine:
        async with aclosing(engine.chat(hello())) as deltas:  # type: ignore[type-var]
            await anext(deltas)  # type: ignore[call-overload]
            assert pool.loaded[0].users == 1
        for _ in range(200):
            await asyncio.sleep(0.01)
            if pool.loaded[0].users == 0:
                break
        assert pool.loaded[0].users == 0


async def test_errors_keep_their_kind(spec: EngineSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    Scripted.answers = (FakeAnswer("x", error=ContextOverflowError("too long", hint="cut")),)
    async with background(monkeypatch), open_engine(spec) as engine:
        with pytest.raises(ContextOverflowError, match="too long") as caught:
            [delta async for delta in engine.chat(hello())]
        assert caught.value.hint == "cut"


async def test_a_server_that_dies_in_an_answer(
    spec: EngineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    Scripted.answers = (FakeAnswer("word " * 500, delay_s=0.01),)
    async with open_background_engine(spec, monkeypatch) as (engine, stop):
        deltas = engine.chat(hello())
        await anext(deltas)
        await stop()
        with pytest.raises(BackendError, match="went away"):
            [delta async for delta in deltas]


@asynccontextmanager
async def open_background_engine(
    spec: EngineSpec, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Any]:
    from contextlib import AsyncExitStack

    stack = AsyncExitStack()
    await stack.enter_async_context(background(monkeypatch))
    try:
        async with open_engine(spec) as engine:
            yield engine, stack.aclose
    finally:
        await stack.aclose()


async def test_a_dead_server_is_passed_over(
    spec: EngineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with background(monkeypatch):
        left = address_file().read_text()
    address_file().write_text(left)
    async with open_engine(spec) as engine:
        assert not isinstance(engine, WarmEngine)


async def test_only_this_user_may_and_only_with_the_key(
    spec: EngineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with background(monkeypatch) as pool:
        address = find_address()
        assert address is not None
        if sys.platform != "win32":
            assert address_file().stat().st_mode & 0o777 == 0o600
        for first in (b"x" * 64 + b"\n", b"GET / HTTP/1.1\r\n" + b"x" * 60, b""):
            reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
            writer.write(first + b'{"op": "ps"}\n')
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
        assert (await call(address, {"op": "ps"}))["pid"] == os.getpid()
        with pytest.raises(BackendError, match="understand"):
            await call(address, {"op": "open"})
        assert pool.loaded == ()


async def test_one_server_for_each_user(monkeypatch: pytest.MonkeyPatch, spec: EngineSpec) -> None:
    async with background(monkeypatch):
        with pytest.raises(BusyError):
            async with background(monkeypatch):
                pass
    assert not address_file().exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"version": "0", "pid": 1}'])
def test_damaged_files_are_no_server(oss_home: OssHome, text: str) -> None:
    address_file().parent.mkdir(parents=True)
    address_file().write_text(text)
    assert find_address() is None


def test_what_goes_over_the_wire_comes_back_whole() -> None:
    request = ChatRequest(
        (
            Message("system", "с"),
            Message("assistant", "", reasoning="r", tool_calls=(ToolCall("1", "t", "{"),)),
            Message("tool", "x", tool_call_id="1", name="t"),
        ),
        Sampling(temperature=0.0, seed=1, stop=("a", "b")),
        (ToolSpec("t", "d", {"type": "object"}),),
        "t",
        {"type": "object"},
        2,
        "low",
        {"a": 0.5},
    )
    assert request_from_wire(json.loads(json.dumps(request_to_wire(request)))) == request
    delta = Delta(
        "c", "r", (ToolCallDelta(0, "i", "n", "{}"),),
        (TokenLogprob("t", -1.0, (("t", -1.0), ("u", -2.0))),), "length", Usage(1, 2, 3),
    )  # fmt: skip
    assert delta_from_wire(json.loads(json.dumps(delta_to_wire(delta)))) == delta
    assert delta_from_wire(delta_to_wire(Delta())) == Delta()

    class OddError(ModelError):
        pass

    again = error_from_wire(error_to_wire(OddError("m", hint="h")))
    assert (type(again), again.message, again.hint) == (ModelError, "m", "h")


@pytest.mark.real
def test_up_run_ps_down(starter_home: OssHome, oss_cli: Any) -> None:
    assert oss_cli.run("ps", "--json").ok().json() is None
    assert "no background server" in oss_cli.run("down").ok().stderr
    assert "nothing" in oss_cli.run("up", "-p", "nothing").failed(3).stderr
    assert oss_cli.run("ps", "--json").ok().json() is None, "nothing was started for it"
    try:
        oss_cli.run("up", "-p", "starter").ok()
        found = oss_cli.run("ps", "--json").ok().json()
        assert [each["model"] for each in found["engines"]] == ["starter"]
        done = oss_cli.run("run", "-p", "starter", "--json", "--max-tokens", "8", "Say hi").ok()
        assert done.json()["answer"]
        done = oss_cli.run("run", "-p", "starter", "--json", "--max-tokens", "8", "Say hi").ok()
        assert done.json()["usage"]["cached_tokens"] > 30  # by a process of its own
        assert "starter" in oss_cli.run("ps").ok().stdout
        assert oss_cli.run("up", "-p", "starter").ok()
        assert oss_cli.run("ps", "--json").json()["pid"] == found["pid"]
        os.kill(found["pid"], 9)
        assert oss_cli.run("run", "-p", "starter", "--max-tokens", "4", "Say hi").ok().stdout
        oss_cli.run("up", "--empty").ok()
        assert oss_cli.run("ps", "--json").json()["pid"] != found["pid"]
    finally:
        oss_cli.run("down").ok()
    assert not (Path(starter_home.data) / "run" / "warm.json").exists()
