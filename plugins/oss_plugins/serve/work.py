"""Answers over HTTP that end when the client leaves."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import OssError
from oss_plugins.serve.errors import ApiError, api_error, server_ends
from oss_plugins.serve.jsons import encode

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

    from starlette.types import Receive, Scope, Send

    from oss_plugins.serve.metrics import Metrics

DONE = b"data: [DONE]\n\n"


def event(value: Any, name: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + encode(value) + b"\n\n"


class Work:
    """Runs until its answer is sent or the client has left, whichever comes first."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer; the request's body has been read before.

        :raises ApiError: the server ended before the answer began.
        """
        working = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_left(receive))
        stopped = False
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                self._metrics.cancelled.inc()
        except asyncio.CancelledError:  # by the server, which ends and has waited long enough
            stopped = True
        finally:
            leaving.cancel()
            if not working.done():
                working.cancel()
            await asyncio.wait({working, leaving})
        if stopped and working.cancelled():
            await self._break_off(send, server_ends())
        if not working.cancelled() and (error := working.exception()) is not None:
            raise error

    async def _send(self, send: Send) -> None:
        raise NotImplementedError

    async def _break_off(self, send: Send, failure: ApiError) -> None:  # noqa: ARG002
        """End an answer in the middle."""
        raise failure


class Whole(Work):
    """One JSON object."""

    def __init__(self, answer: Coroutine[Any, Any, Any], metrics: Metrics) -> None:
        super().__init__(metrics)
        self._answer = answer

    async def _send(self, send: Send) -> None:
        status, headers = 200, {}
        try:
            body = encode(await self._answer)
        except (ApiError, OssError) as error:
            failure = error if isinstance(error, ApiError) else api_error(error)
            status, headers, body = failure.status, failure.headers, encode(failure.body)
        await _start(
            send, status, "application/json", {**headers, "Content-Length": str(len(body))}
        )
        await send({"type": "http.response.body", "body": body})


class Stream(Work):
    """Server-sent events. What fails before the first one is told by the status."""

    def __init__(self, events: AsyncGenerator[bytes, None], metrics: Metrics) -> None:
        super().__init__(metrics)
        self._events = events
        self._started = False

    async def _send(self, send: Send) -> None:
        try:
            async with aclosing(self._events) as events:
                async for piece in events:
                    if not self._started:
                        self._started = True
                        await _start(send, 200, "text/event-stream", {"Cache-Control": "no-cache"})
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except (ApiError, OssError) as error:
            failure = error if isinstance(error, ApiError) else api_error(error)
            if not self._started:
                await failure.response()({"type": "http"}, _nothing, send)
                return
            await self._break_off(send, failure)
            return
        await send({"type": "http.response.body", "body": b""})

    async def _break_off(self, send: Send, failure: ApiError) -> None:
        if not self._started:
            raise failure
        await send({"type": "http.response.body", "body": event(failure.body)})


async def _start(send: Send, status: int, kind: str, headers: dict[str, str]) -> None:
    pairs = {"Content-Type": kind, **headers}
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(k.lower().encode(), v.encode()) for k, v in pairs.items()],
        }
    )


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _nothing() -> Any:
    raise NotImplementedError
