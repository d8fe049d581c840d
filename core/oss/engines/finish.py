"""Brings a stream of deltas into the form that the contract asks for."""

from __future__ import annotations

import time
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from oss.contracts.chat import Delta, Timings, Usage
from oss.contracts.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from oss.contracts.chat import FinishReason


async def finished(
    deltas: AsyncGenerator[Delta, None], started: float
) -> AsyncGenerator[Delta, None]:
    """The same deltas, with finish reason, usage and timings gathered in one last delta.

    :param started: ``time.perf_counter()`` when the request came in; from it and the first
        delta comes ``Timings.first_token_s``.
    :raises BackendError: the stream ended without a finish reason.
    """
    reason: FinishReason | None = None
    usage: Usage | None = None
    timings: Timings | None = None
    first = 0.0
    async with aclosing(deltas):
        async for delta in deltas:
            reason = delta.finish_reason or reason
            usage = delta.usage or usage
            timings = delta.timings or timings
            if delta.content or delta.reasoning or delta.tool_calls or delta.logprobs:
                first = first or time.perf_counter() - started
                if delta.finish_reason or delta.usage or delta.timings:
                    delta = replace(delta, finish_reason=None, usage=None, timings=None)
                yield delta
    if reason is None:
        raise BackendError("the engine stopped in the middle of its answer")
    yield Delta(
        finish_reason=reason,
        usage=usage or Usage(),
        timings=replace(timings or Timings(), first_token_s=first or time.perf_counter() - started),
    )
