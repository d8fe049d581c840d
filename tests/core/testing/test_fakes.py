"""The fakes keep the contracts that real parts keep."""

from __future__ import annotations

import json

import pytest

from oss.contracts.backend import Capability, Engine
from oss.contracts.chat import ChatRequest, Delta, Sampling, Usage
from oss.contracts.errors import BackendError, CapabilityError, ContextOverflowError
from oss.contracts.messages import Message, ToolCall, ToolSpec
from oss.testing.fakes import FakeAnswer, FakeBackend, FakeTool, fake_model, words

WEATHER = ToolSpec(
    "weather",
    "Tells the weather.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


def ask(text: str, **settings: object) -> ChatRequest:
    return ChatRequest((Message("user", text),), **settings)  # type: ignore[arg-type]


async def collect(engine: Engine, request: ChatRequest) -> list[Delta]:
    return [delta async for delta in engine.chat(request)]


async def test_scripted_then_echo() -> None:
    backend = FakeBackend("один", FakeAnswer("two", reasoning="hm hm"), lambda r: "three")
    async with backend.open(fake_model(), (), {}) as engine:
        answers = []
        for _ in range(4):
            deltas = await collect(engine, ask("эхо, пожалуйста"))
            answers.append("".join(d.content for d in deltas))
    assert answers == ["один", "two", "three", "эхо, пожалуйста"]
    assert len(backend.engines[0].requests) == 4


async def test_streams_words_and_ends_with_usage() -> None:
    async with FakeBackend().open(fake_model(), (), {}) as engine:
        request = ask("a b  c")
        deltas = await collect(engine, request)
        assert [d.content for d in deltas] == ["a", " b", "  c", ""]
        assert deltas[-1].finish_reason == "stop"
        assert deltas[-1].usage == Usage(await engine.count_tokens(request.messages), 3, 0)
        again = await collect(engine, request)
        assert again[-1].usage is not None
        assert again[-1].usage.cached_tokens == again[-1].usage.prompt_tokens - 1


async def test_stop_and_length() -> None:
    async with FakeBackend("a b stop c", "a b c").open(fake_model(), (), {}) as engine:
        first = await collect(engine, ask("x", sampling=Sampling(stop=("stop",))))
        assert "".join(d.content for d in first) == "a b "
        assert first[-1].finish_reason == "stop"
        second = await collect(engine, ask("x", sampling=Sampling(max_tokens=2)))
        assert "".join(d.content for d in second) == "a b"
        assert second[-1].finish_reason == "length"


async def test_tool_calls_come_in_pieces() -> None:
    call = ToolCall("c1", "weather", '{"city": "Омск"}')
    async with FakeBackend(FakeAnswer(tool_calls=(call,))).open(fake_model(), (), {}) as engine:
        deltas = await collect(engine, ask("x", tools=(WEATHER,)))
    pieces = [p for d in deltas for p in d.tool_calls]
    assert len(pieces) == 2
    assert (pieces[0].id, pieces[0].name) == ("c1", "weather")
    assert "".join(p.arguments for p in pieces) == call.arguments
    assert deltas[-1].finish_reason == "tool_calls"


async def test_demanded_tool_and_schema_without_a_script() -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 3}, "t": {"enum": ["a"]}},
        "required": ["n", "t"],
    }
    async with FakeBackend().open(fake_model(), (), {}) as engine:
        deltas = await collect(engine, ask("x", tools=(WEATHER,), tool_choice="required"))
        assert deltas[0].tool_calls[0].name == "weather"
        deltas = await collect(engine, ask("x", json_schema=schema))
        assert json.loads("".join(d.content for d in deltas)) == {"n": 3, "t": "a"}


async def test_logprobs_belong_to_the_text() -> None:
    async with FakeBackend().open(fake_model(), (), {}) as engine:
        deltas = await collect(engine, ask("one two", logprobs=2))
    tokens = [t for d in deltas for t in d.logprobs]
    assert "".join(t.token for t in tokens) == "one two"
    assert all(t.logprob <= 0 and len(t.top) == 2 for t in tokens)


async def test_failures_on_demand() -> None:
    broken = FakeBackend(FakeAnswer("half an", error=BackendError("gone")))
    async with broken.open(fake_model(), (), {}) as engine:
        stream = engine.chat(ask("x"))
        assert [(await anext(stream)).content for _ in range(2)] == ["half", " an"]
        with pytest.raises(BackendError, match="gone"):
            await anext(stream)
    with pytest.raises(BackendError, match="no start"):
        async with FakeBackend(fails=BackendError("no start")).open(fake_model(), (), {}):
            pass


async def test_refuses_what_it_cannot_do() -> None:
    plain = FakeBackend(capabilities=(), context=8)
    async with plain.open(fake_model(), (), {}) as engine:
        with pytest.raises(CapabilityError, match="tools"):
            await collect(engine, ask("x", tools=(WEATHER,)))
        with pytest.raises(CapabilityError, match="json_schema"):
            await collect(engine, ask("x", json_schema={}))
        with pytest.raises(CapabilityError, match="embeddings"):
            await engine.embed(["x"])
        with pytest.raises(ContextOverflowError):
            await collect(engine, ask("one two three four five six seven"))
        with pytest.raises(BackendError, match="no messages"):
            await collect(engine, ChatRequest(()))
        with pytest.raises(BackendError, match="adapter"):
            await collect(engine, ask("x", adapter_scales={"nope": 1.0}))


async def test_closing_stops_the_answer() -> None:
    backend = FakeBackend("a b c d")
    async with backend.open(fake_model(), (), {}) as engine:
        stream = engine.chat(ask("x"))
        assert (await anext(stream)).content == "a"
        await stream.aclose()  # type: ignore[attr-defined]
    assert backend.engines[0].closed == 1


async def test_tool_records_and_fails() -> None:
    tool = FakeTool(result=lambda arguments: f"got {arguments['city']}")
    assert await tool.call({"city": "Омск"}) == "got Омск"
    assert tool.calls == [{"city": "Омск"}]
    with pytest.raises(BackendError):
        await FakeTool(result=BackendError("no")).call({})


def test_words_rejoin() -> None:
    for text in ("", "  ", "a", " a\n\nб  ", "x\n"):
        assert "".join(words(text)) == text


def test_all_capabilities_by_default() -> None:
    assert FakeBackend().capabilities == frozenset(Capability)
