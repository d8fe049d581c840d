"""What every backend must do. Subclass :class:`BackendConformance` and give its fixtures::

    class TestMyBackend(BackendConformance):
        @pytest.fixture(scope="class")
        @classmethod
        def backend(cls) -> Backend:
            return MyBackend()

        @pytest.fixture(scope="class")
        @classmethod
        def model(cls) -> LocalModel: ...

        @pytest.fixture(scope="class")
        @classmethod
        def options(cls) -> Mapping[str, Any]:
            return {"context": 2048, ...}   # complete, as the profile would give them

One engine is opened for all tests of a class. What the engine says it cannot do is skipped.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest

from oss.contracts.backend import Backend, Capability, Engine
from oss.contracts.chat import (
    ChatRequest,
    Delta,
    FinishReason,
    Sampling,
    Timings,
    TokenLogprob,
    Usage,
)
from oss.contracts.errors import BackendError, ContextOverflowError, OssError
from oss.contracts.messages import Message, ToolCall, ToolSpec

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Mapping, Sequence

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.model import LocalModel

T = TypeVar("T")

GREEDY = Sampling(temperature=0, max_tokens=24)
SAME = replace(GREEDY, seed=1)
"""Greedy, and with a seed: engines that keep evaluated prompts may give the last bits, and with
them a close choice between two tokens, differently when they take up a kept one.
"""
CAPITAL = (Message("user", "What is the capital of France?"),)
CYRILLIC = (
    Message("system", "Ты — вежливый собеседник."),
    Message("user", "Привет! Повтори слово «ёжик»."),
)
WEATHER = ToolSpec(
    "get_weather",
    "The weather in a city.",
    {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 40}},
        "required": ["city"],
        "additionalProperties": False,
    },
)
ADD = ToolSpec(
    "add",
    "Adds two whole numbers.",
    {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "minimum": 0, "maximum": 99},
            "b": {"type": "integer", "minimum": 0, "maximum": 99},
        },
        "required": ["a", "b"],
        "additionalProperties": False,
    },
)
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Answer:
    """The deltas of one answer, and what they add up to."""

    deltas: tuple[Delta, ...]

    @property
    def content(self) -> str:
        """The text."""
        return "".join(delta.content for delta in self.deltas)

    @property
    def reasoning(self) -> str:
        """The thinking."""
        return "".join(delta.reasoning for delta in self.deltas)

    @property
    def calls(self) -> list[ToolCall]:
        """The tool calls, put together from their pieces."""
        calls: dict[int, ToolCall] = {}
        for delta in self.deltas:
            for piece in delta.tool_calls:
                if piece.index not in calls:
                    assert piece.id, "the first piece of a call carries its id"
                    assert piece.name, "the first piece of a call carries its name"
                    calls[piece.index] = ToolCall(piece.id, piece.name, "")
                call = calls[piece.index]
                calls[piece.index] = replace(call, arguments=call.arguments + piece.arguments)
        return list(calls.values())

    @property
    def logprobs(self) -> list[TokenLogprob]:
        """Those of all tokens."""
        return [each for delta in self.deltas for each in delta.logprobs]

    @property
    def finish_reason(self) -> FinishReason | None:
        """The last delta's."""
        return self.deltas[-1].finish_reason

    @property
    def usage(self) -> Usage:
        """The last delta's."""
        usage = self.deltas[-1].usage
        assert usage is not None, "the last delta carries usage"
        return usage

    @property
    def timings(self) -> Timings:
        """The last delta's, zeros where the engine measures none."""
        return self.deltas[-1].timings or Timings()


class Opened:
    """An open engine and the event loop it lives in, for tests that are not coroutines."""

    def __init__(
        self,
        backend: Backend,
        model: LocalModel,
        adapters: Sequence[AdapterRef],
        options: Mapping[str, Any],
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        try:
            self.engine: Engine = self.run(
                self._stack.enter_async_context(backend.open(model, adapters, options))
            )
        except BaseException:
            self._loop.close()
            raise

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result."""
        return self._loop.run_until_complete(coroutine)

    def close(self) -> None:
        """Close the engine, then the loop."""
        self.run(self._stack.aclose())
        self.run(self._loop.shutdown_asyncgens())
        self.run(self._loop.shutdown_default_executor())
        self._loop.close()

    def ask(self, messages: Sequence[Message], sampling: Sampling = GREEDY, **more: Any) -> Answer:
        """The whole answer to a request."""
        return self.run(answer(self.engine, messages, sampling, **more))

    def count(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> int:
        """The engine's count of a prompt's tokens."""
        return self.run(self.engine.count_tokens(messages, tools))

    def need(self, capability: Capability) -> None:
        """Skip the test where the engine cannot do this."""
        if capability not in self.engine.info.capabilities:
            pytest.skip(f"{self.engine.info.backend} has no {capability.value}")


async def answer(
    engine: Engine, messages: Sequence[Message], sampling: Sampling = GREEDY, **more: Any
) -> Answer:
    """The whole answer of an engine."""
    request = ChatRequest(tuple(messages), sampling, **more)
    return Answer(tuple([delta async for delta in engine.chat(request)]))


class BackendConformance:
    """The suite."""

    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls) -> AdapterRef | None:
        """An adapter for the model that changes what it says; ``None`` skips its tests."""
        return None

    @pytest.fixture(scope="class")
    @classmethod
    def idle_adapter(cls) -> AdapterRef | None:
        """An adapter for the model that changes nothing; ``None`` skips its test."""
        return None

    @pytest.fixture(scope="class")
    @classmethod
    def broken_model(cls) -> LocalModel | None:
        """A model whose file is not whole; ``None`` skips its test."""
        return None

    @pytest.fixture(scope="class")
    @classmethod
    def opened(
        cls, backend: Backend, model: LocalModel, options: Mapping[str, Any]
    ) -> Iterator[Opened]:
        """An engine without adapters."""
        opened = Opened(backend, model, (), options)
        yield opened
        opened.close()

    @pytest.fixture(scope="class")
    @classmethod
    def adapted(
        cls,
        backend: Backend,
        model: LocalModel,
        options: Mapping[str, Any],
        adapter: AdapterRef | None,
    ) -> Iterator[Opened]:
        """An engine with the adapter."""
        if adapter is None:
            pytest.skip("no adapter to test with")
        opened = Opened(backend, model, (adapter,), options)
        yield opened
        opened.close()

    def test_says_what_it_is(self, opened: Opened, backend: Backend, model: LocalModel) -> None:
        info = opened.engine.info
        assert info.backend == backend.name
        assert info.model == model.name
        assert info.context > 0
        assert all(isinstance(each, Capability) for each in info.capabilities)

    def test_has_no_problem_where_it_opens(self, opened: Opened, backend: Backend) -> None:
        assert opened.engine is not None
        assert backend.problem() is None

    def test_streams_and_ends_with_reason_usage_and_timings(self, opened: Opened) -> None:
        found = opened.ask(CAPITAL)
        assert len(found.deltas) > 2
        assert found.content.strip()
        assert all(delta.finish_reason is None for delta in found.deltas[:-1])
        assert found.finish_reason in ("stop", "length")
        assert 0 < found.usage.completion_tokens <= 24
        assert found.timings.first_token_s > 0

    def test_counts_the_prompt_as_it_is_evaluated(self, opened: Opened) -> None:
        for messages in (CAPITAL, CYRILLIC):
            assert opened.count(messages) == opened.ask(messages).usage.prompt_tokens

    def test_counts_grow_with_messages_and_tools(self, opened: Opened) -> None:
        one = opened.count(CAPITAL)
        more = (*CAPITAL, Message("assistant", "Paris."), Message("user", "И что там есть?"))
        assert opened.count(more) > one
        if Capability.TOOLS in opened.engine.info.capabilities:
            assert opened.count(CAPITAL, (WEATHER, ADD)) > one

    def test_stops_at_max_tokens(self, opened: Opened) -> None:
        found = opened.ask(CAPITAL, Sampling(temperature=0, max_tokens=2))
        assert found.finish_reason == "length"
        assert found.usage.completion_tokens == 2

    def test_stops_before_a_stop_text(self, opened: Opened) -> None:
        whole = opened.ask(CAPITAL, SAME).content
        stop = whole.split()[2]
        found = opened.ask(CAPITAL, replace(SAME, stop=(stop, "никогда не скажет")))
        assert found.content == whole[: whole.index(stop)]
        assert found.finish_reason == "stop"

    def test_greedy_answers_are_the_same(self, opened: Opened) -> None:
        assert opened.ask(CAPITAL, SAME).content == opened.ask(CAPITAL, SAME).content

    def test_a_seed_repeats_an_answer(self, opened: Opened) -> None:
        wild = Sampling(temperature=1.5, top_p=1, top_k=0, min_p=0, seed=7, max_tokens=16)
        assert opened.ask(CAPITAL, wild).content == opened.ask(CAPITAL, wild).content

    def test_takes_every_sampling_setting(self, opened: Opened) -> None:
        every = Sampling(0.7, 0.9, 30, 0.05, 1.1, 0.1, 0.1, 3, 4, ("\n\n\n",))
        assert opened.ask(CAPITAL, every).finish_reason in ("stop", "length")

    def test_cyrillic_comes_whole(self, opened: Opened) -> None:
        found = opened.ask(CYRILLIC, replace(GREEDY, max_tokens=40))
        assert found.content.strip()
        assert "\ufffd" not in found.content

    def test_a_conversation_goes_on(self, opened: Opened) -> None:
        first = opened.ask(CAPITAL)
        second = opened.ask(
            (*CAPITAL, Message("assistant", first.content), Message("user", "And of Italy?"))
        )
        assert second.content.strip()
        assert 0 <= second.usage.cached_tokens < second.usage.prompt_tokens

    def test_no_messages_are_refused(self, opened: Opened) -> None:
        with pytest.raises(OssError):
            opened.ask(())

    def test_a_prompt_that_does_not_fit_is_refused(self, opened: Opened) -> None:
        long = (Message("user", "слово " * opened.engine.info.context),)
        with pytest.raises(ContextOverflowError) as caught:
            opened.ask(long)
        assert str(opened.engine.info.context) in caught.value.message
        assert opened.ask(CAPITAL).content.strip()

    def test_closing_the_answer_leaves_the_engine_usable(self, opened: Opened) -> None:
        async def stop_early() -> int:
            request = ChatRequest(CAPITAL, Sampling(temperature=0, max_tokens=400))
            taken = 0
            async with aclosing(cast("Any", opened.engine.chat(request))) as deltas:
                async for _ in deltas:
                    taken += 1
                    if taken == 3:
                        break
            return taken

        before = opened.ask(CAPITAL, SAME).content
        assert opened.run(stop_early()) == 3
        assert opened.ask(CAPITAL, SAME).content == before

    def test_several_tasks_may_ask_at_once(self, opened: Opened) -> None:
        async def all_at_once() -> list[Answer]:
            asked = (CAPITAL, CYRILLIC, CAPITAL, CYRILLIC)
            return await asyncio.gather(*(answer(opened.engine, each) for each in asked))

        for found in opened.run(all_at_once()):
            assert found.content.strip()
            assert found.finish_reason in ("stop", "length")

    def test_logprobs(self, opened: Opened) -> None:
        opened.need(Capability.LOGPROBS)
        found = opened.ask(CAPITAL, logprobs=3)
        assert found.logprobs
        assert len(found.logprobs) <= found.usage.completion_tokens
        for each in found.logprobs:
            assert each.logprob <= 0
            assert len(each.top) == 3
            assert [value for _, value in each.top] == sorted(
                (value for _, value in each.top), reverse=True
            )
        first = found.logprobs[0]
        assert first.top[0][0] == first.token, "a greedy token is the likeliest"
        assert all(each.top == () for each in opened.ask(CAPITAL, logprobs=0).logprobs)
        assert not opened.ask(CAPITAL).logprobs

    def test_json_schema(self, opened: Opened) -> None:
        opened.need(Capability.JSON_SCHEMA)
        asked = (Message("user", "Опиши человека: имя и возраст."),)
        for sampling in (Sampling(0, max_tokens=100), Sampling(1.2, seed=5, max_tokens=100)):
            value = json.loads(opened.ask(asked, sampling, json_schema=PERSON).content)
            assert set(value) == {"name", "age"}
            assert isinstance(value["age"], int)

    def test_tools_required(self, opened: Opened) -> None:
        opened.need(Capability.TOOLS)
        asked = (Message("user", "What is the weather in Paris?"),)
        found = opened.ask(
            asked, Sampling(0, max_tokens=120), tools=(WEATHER, ADD), tool_choice="required"
        )
        assert found.finish_reason == "tool_calls"
        assert found.calls[0].name in ("get_weather", "add")
        assert isinstance(json.loads(found.calls[0].arguments), dict)
        assert found.content.strip() == ""

    def test_a_named_tool(self, opened: Opened) -> None:
        opened.need(Capability.TOOLS)
        found = opened.ask(
            CAPITAL, Sampling(0, max_tokens=120), tools=(WEATHER, ADD), tool_choice="add"
        )
        assert [call.name for call in found.calls] == ["add"]
        assert set(json.loads(found.calls[0].arguments)) == {"a", "b"}

    def test_tools_of_their_own_choice(self, opened: Opened) -> None:
        opened.need(Capability.TOOLS)
        for prompt in ("What is the weather in Paris?", "Say hello.", "Сложи 2 и 3."):
            found = opened.ask((Message("user", prompt),), tools=(WEATHER, ADD))
            assert (found.finish_reason == "tool_calls") == bool(found.calls)
            assert '"arguments"' not in found.content, "a call is no text"

    def test_no_tools(self, opened: Opened) -> None:
        opened.need(Capability.TOOLS)
        found = opened.ask(CAPITAL, tools=(WEATHER,), tool_choice="none")
        assert not found.calls
        assert found.content.strip()

    def test_tool_results_are_read(self, opened: Opened) -> None:
        opened.need(Capability.TOOLS)
        call = ToolCall("call_1", "get_weather", '{"city": "Париж"}')
        conversation = (
            Message("user", "What is the weather in Paris?"),
            Message("assistant", "", tool_calls=(call,)),
            Message("tool", "18 °C, дождь", name="get_weather", tool_call_id="call_1"),
        )
        found = opened.ask(conversation, tools=(WEATHER,), tool_choice="none")
        assert found.content.strip()
        more = opened.ask(conversation, replace(GREEDY, max_tokens=120), tools=(WEATHER,))
        assert more.content.strip() or more.calls

    def test_an_adapter_acts_as_strongly_as_asked(self, adapted: Opened, opened: Opened) -> None:
        adapted.need(Capability.ADAPTERS)
        assert adapted.ask(CAPITAL, SAME).content != opened.ask(CAPITAL, SAME).content

    def test_a_scale_per_request(
        self, adapted: Opened, opened: Opened, adapter: AdapterRef
    ) -> None:
        adapted.need(Capability.PER_REQUEST_ADAPTERS)
        plain = opened.ask(CAPITAL, SAME).content
        assert adapted.ask(CAPITAL, SAME, adapter_scales={adapter.name: 0.0}).content == plain
        assert adapted.ask(CAPITAL, SAME, adapter_scales={adapter.name: 1.0}).content != plain
        assert adapted.ask(CAPITAL, SAME, adapter_scales={adapter.name: 0.0}).content == plain

    def test_an_unknown_adapter_is_refused(self, opened: Opened) -> None:
        with pytest.raises(BackendError, match="чужой"):
            opened.ask(CAPITAL, adapter_scales={"чужой": 1.0})

    def test_an_adapter_that_does_nothing_is_refused(
        self,
        backend: Backend,
        model: LocalModel,
        options: Mapping[str, Any],
        idle_adapter: AdapterRef | None,
    ) -> None:
        if idle_adapter is None:
            pytest.skip("no idle adapter to test with")
        with pytest.raises(BackendError, match=idle_adapter.name):
            Opened(backend, model, (idle_adapter,), options).close()

    def test_a_broken_model_is_refused(
        self, backend: Backend, options: Mapping[str, Any], broken_model: LocalModel | None
    ) -> None:
        if broken_model is None:
            pytest.skip("no broken model to test with")
        with pytest.raises(OssError):
            Opened(backend, broken_model, (), options).close()
