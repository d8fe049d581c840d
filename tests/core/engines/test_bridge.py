from __future__ import annotations

import asyncio
import threading
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from oss.contracts.chat import Delta, Usage
from oss.contracts.errors import BackendError, EngineDiedError
from oss.engines.bridge import ThreadStream
from oss.engines.finish import finished
from support.threads import end_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable


async def test_items_come_in_order() -> None:
    def produce(emit: Callable[[int], bool]) -> None:
        for number in range(1000):
            assert not emit(number)

    found = [number async for number in ThreadStream(produce).read()]
    assert found == list(range(1000))


async def test_what_the_producer_raises_is_raised_in_the_reader() -> None:
    def produce(emit: Callable[[int], bool]) -> None:
        emit(1)
        raise ValueError("за работой")

    reader = ThreadStream(produce).read()
    assert await anext(reader) == 1
    with pytest.raises(ValueError, match="за работой"):
        await anext(reader)


async def test_a_producer_that_is_ended_is_a_death_and_not_the_programs_end() -> None:
    def produce(emit: Callable[[int], bool]) -> None:
        emit(1)
        end_thread(threading.current_thread())
        while not emit(2):
            time.sleep(0.001)

    with pytest.raises(EngineDiedError, match="SystemExit") as caught:
        async for _ in ThreadStream(produce).read():
            pass
    assert isinstance(caught.value.__cause__, SystemExit)


async def test_closing_the_reader_stops_the_producer() -> None:
    stopped = threading.Event()

    def produce(emit: Callable[[int], bool]) -> None:
        while not emit(0):
            pass
        stopped.set()

    stream = ThreadStream(produce)
    async with aclosing(stream.read()) as numbers:
        async for _ in numbers:
            break
    await asyncio.to_thread(stream.join)
    assert stopped.is_set()


def test_a_loop_that_is_gone_stops_the_producer() -> None:
    go, stopped = threading.Event(), threading.Event()

    def produce(emit: Callable[[int], bool]) -> None:
        emit(0)
        go.wait(10)
        while not emit(0):
            pass
        stopped.set()

    async def leave() -> ThreadStream[int]:
        stream = ThreadStream(produce)
        reader = stream.read()
        await anext(reader)
        kept.append(reader)
        return stream

    kept: list[AsyncGenerator[int, None]] = []
    loop = asyncio.new_event_loop()
    stream = loop.run_until_complete(leave())
    loop.run_until_complete(kept[0].aclose())
    loop.close()
    go.set()
    stream.join()
    assert stopped.is_set()


async def deltas(*found: Delta) -> AsyncGenerator[Delta, None]:
    for delta in found:
        yield delta


async def test_the_end_is_gathered_in_one_delta() -> None:
    given = deltas(
        Delta(content="a", usage=Usage(1, 0)),
        Delta(finish_reason="stop"),
        Delta(usage=Usage(3, 1)),
    )
    found = [delta async for delta in finished(given, 0.0)]
    assert found[0] == Delta(content="a")
    assert found[1].finish_reason == "stop"
    assert found[1].usage == Usage(3, 1)
    assert found[1].timings is not None
    assert found[1].timings.first_token_s > 0


async def test_an_answer_without_an_end_is_an_error() -> None:
    with pytest.raises(BackendError, match="in the middle"):
        [delta async for delta in finished(deltas(Delta(content="a")), 0.0)]
