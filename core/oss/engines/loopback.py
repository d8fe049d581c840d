"""A small HTTP client for an engine's own port on this machine."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

from oss.contracts.errors import BackendError


class LoopbackClient:
    """JSON over one kept-alive connection, opened anew when the server has closed it.

    For an engine inside this process, where the import of an HTTP library would cost more than
    all requests together.
    """

    def __init__(self, address: str, key: str) -> None:
        parts = urlsplit(address)
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or 80
        self._key = key
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> Any:
        """The JSON that a path answers with.

        :raises BackendError: the engine refused or is gone.
        """
        return await self._request("GET", path, b"")

    async def post(self, path: str, body: Any) -> Any:
        """Send JSON, return JSON.

        :raises BackendError: the engine refused or is gone.
        """
        return await self._request("POST", path, json.dumps(body).encode())

    async def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _request(self, method: str, path: str, body: bytes) -> Any:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Authorization: Bearer {self._key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        async with self._lock:
            kept = self._streams is not None
            try:
                status, data = await self._exchange(head + body)
            except (OSError, asyncio.IncompleteReadError) as error:
                await self.close()
                if not kept:
                    raise BackendError(f"the engine does not answer: {error}") from error
                try:
                    status, data = await self._exchange(head + body)
                except (OSError, asyncio.IncompleteReadError) as again:
                    await self.close()
                    raise BackendError(f"the engine does not answer: {again}") from again
            except asyncio.CancelledError:
                await self.close()  # an answer still to come would be taken for the next one
                raise
        answer = json.loads(data)
        if status != 200:
            message = (answer.get("error") or {}).get("message", data.decode())
            raise BackendError(f"the engine refused {path}: {message}")
        return answer

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(request)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.split("\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        data = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection", "").lower() == "close":
            await self.close()
        return int(lines[0].split()[1]), data
