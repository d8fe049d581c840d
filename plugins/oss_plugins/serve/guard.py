"""What stands before the endpoints: hosts, keys, the size of bodies, foreign web pages.

A browser can be made to send requests to loopback by any page it shows (DNS rebinding). Without
a key, a request must therefore name this machine in its ``Host`` header, and a page of another
origin is refused.
"""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from oss_plugins.serve.errors import ApiError, server_ends

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from oss_plugins.serve.metrics import Metrics
    from oss_plugins.serve.settings import Settings

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN = frozenset({"/health"})
"""Paths that tell nothing, and need no key."""


class Guard:
    """Refuses requests that may not pass, counts the rest."""

    def __init__(
        self, app: ASGIApp, settings: Settings, metrics: Metrics, paths: frozenset[str]
    ) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with an error."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in self._paths else "other"

        status = ""

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
                self._metrics.requests.labels(path, status).inc()
            await send(message)

        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        try:
            self._check(scope, headers)
            limited = _limited(receive, self._settings.max_body)
            await self._app(scope, limited, counted)
        except ApiError as error:
            await error.response()(scope, receive, counted)
        except asyncio.CancelledError:  # the server ends, and has waited long enough
            if not status:
                await server_ends().response()(scope, receive, counted)
        except Exception:  # a bug of ours: told in the API's shape; its traceback goes to the log
            if not status:
                failure = ApiError(500, "the server has failed; its log says more")
                await failure.response()(scope, receive, counted)
            raise

    def _check(self, scope: Scope, headers: dict[str, str]) -> None:
        key = self._settings.key
        if key is None:
            self._check_host(headers.get("host", ""))
            self._check_origin(headers.get("origin"))
        elif scope["path"] not in OPEN and not _same(headers.get("authorization", ""), key):
            raise ApiError(
                401,
                "the key is absent or wrong: send 'Authorization: Bearer KEY'",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        try:
            length = int(headers.get("content-length") or 0)
        except ValueError:
            raise ApiError(400, "Content-Length is no number") from None
        if length > self._settings.max_body:
            raise _too_large(self._settings.max_body)

    def _check_host(self, host: str) -> None:
        name = _host(host)
        if name not in LOOPBACK and name not in self._settings.hosts:
            raise ApiError(403, "the Host header names another machine", code="host_refused")

    def _check_origin(self, origin: str | None) -> None:
        if origin is None or origin in self._settings.origins:
            return
        raise ApiError(
            403, "web pages may not use this server: --allow-origin", code="origin_refused"
        )


def _host(header: str) -> str:
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""


def _same(header: str, key: str) -> bool:
    kind, _, given = header.partition(" ")
    right = hmac.compare_digest(given.strip().encode("latin-1"), key.encode())
    return kind.lower() == "bearer" and right


def _too_large(limit: int) -> ApiError:
    return ApiError(413, f"the request is larger than {limit} bytes", code="too_large")


def _limited(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise _too_large(limit)
        return message

    return limited
