"""Asks for the key on every path of vLLM's server; imported there, not here.

vLLM's own check covers ``/v1`` alone: ``/invocations`` and ``/adapters`` are open to every user
of the machine (https://docs.vllm.ai/en/latest/usage/security.html). This folder is put on the
server's ``PYTHONPATH``; nothing but the standard library is imported.
"""

from __future__ import annotations

import hmac
import os
from typing import Any


class Guard:
    """ASGI middleware: 401 without the key of ``VLLM_API_KEY``; ``/health`` needs none."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._wanted = f"Bearer {os.environ['VLLM_API_KEY']}".encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on what carries the key."""
        if scope["type"] == "lifespan" or scope.get("path") == "/health":
            await self._app(scope, receive, send)
            return
        given = dict(scope.get("headers") or ()).get(b"authorization", b"")
        if hmac.compare_digest(given, self._wanted):
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"error": {"message": "no key"}}'})
