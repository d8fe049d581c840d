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
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from oss.contracts.backend import Backend, Capability
from oss.contracts.chat import ChatRequest, Sampling
from oss.contracts.errors import ContextOverflowError, OssError
from oss.contracts.messages import Message
from oss.testing.conformance.asking import (
    ADD,
    CAPITAL,
    CYRILLIC,
    GREEDY,
    PERSON,
    SAME,
    WEATHER,
    Answer,
    Opened,
    answer,
)
from oss.testing.conformance.backend_adapters import AdapterConformance
from oss.testing.conformance.backend_tools import ToolConformance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from oss.contracts.model import LocalModel


class BackendConformance(ToolConformance, AdapterConformance):
    """The suite."""

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

    def test_a_broken_model_is_refused(
        self, backend: Backend, options: Mapping[str, Any], broken_model: LocalModel | None
    ) -> None:
        if broken_model is None:
            pytest.skip("no broken model to test with")
        with pytest.raises(OssError):
            Opened(backend, broken_model, (), options).close()
