"""Engines that a background server keeps open (``oss up``): found, and used as one's own.

The server listens on loopback; its port and a random key are in ``data/run/warm.json``, which no
one else may read. One connection is one request: the key, then a line of JSON; lines of JSON come
back. Closing the connection stops the work.
"""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oss import __version__
from oss.contracts.backend import Engine
from oss.contracts.errors import BackendError
from oss.contracts.wire import message_to_wire
from oss.paths import data_dir

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from oss.contracts.backend import EngineInfo
    from oss.contracts.chat import ChatRequest, Delta
    from oss.contracts.messages import Message, ToolSpec
    from oss.turn.spec import EngineSpec

LONGEST_LINE = 64 * 1024 * 1024
"""Bytes of one request or answer."""

LOOK_S = 2.0
"""How long the background server has to say what it holds."""


@dataclass(frozen=True)
class Address:
    """Where the background server is."""

    pid: int
    port: int
    key: str


def run_dir() -> Path:
    """Where running servers leave word of themselves."""
    return data_dir() / "run"


def address_file() -> Path:
    """The background server's own."""
    return run_dir() / "warm.json"


def find_address() -> Address | None:
    """The background server, if its file is there and of this version; it may be dead."""
    try:
        found = json.loads(address_file().read_text(encoding="utf-8"))
        if found["version"] != __version__:
            return None
        return Address(int(found["pid"]), int(found["port"]), str(found["key"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def lent_memory() -> int:
    """Bytes that the background server's engines hold; 0 where there is none. It gives them back
    when another engine is asked of it.
    """
    address = find_address()
    if address is None:
        return 0
    try:
        with socket.create_connection(("127.0.0.1", address.port), LOOK_S) as talk:
            talk.sendall(f'{address.key}\n{{"op": "ps"}}\n'.encode())
            answer = json.loads(talk.makefile("rb").readline())
        return sum(int(engine["memory"]) for engine in answer["value"]["engines"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def open_engine(spec: EngineSpec) -> AbstractAsyncContextManager[Engine]:
    """The engine from the background server where there is one, else opened in this process.

    Models that are on other servers anyway are not asked for by a detour.
    """
    address = find_address() if spec.model.path is not None else None
    return spec.open() if address is None else _open_warm(spec, address)


@asynccontextmanager
async def _open_warm(spec: EngineSpec, address: Address) -> AsyncIterator[Engine]:
    from oss.engines.engine_wire import info_from_wire

    wire = spec_to_wire(spec)
    try:
        info = info_from_wire(await call(address, {"op": "open", "spec": wire}))
    except ConnectionError:  # it is dead, and had no time to clean up
        async with spec.open() as engine:
            yield engine
        return
    yield WarmEngine(info, address, wire)


class WarmEngine(Engine):
    """An engine of the background server."""

    def __init__(self, info: EngineInfo, address: Address, spec: dict[str, Any]) -> None:
        self.info = info
        self._address = address
        self._spec = spec

    async def chat(self, request: ChatRequest) -> AsyncIterator[Delta]:
        """Stream the answer; closing the iterator stops the generation."""
        from oss.engines.engine_wire import delta_from_wire, request_to_wire

        asked = {"op": "chat", "spec": self._spec, "request": request_to_wire(request)}
        lines = exchange(self._address, asked)
        try:
            async for line in lines:
                yield delta_from_wire(line)
        except ConnectionError as error:
            raise _gone() from error
        finally:
            await lines.aclose()

    async def count_tokens(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()
    ) -> int:
        """Tokens of the prompt that these messages make."""
        from dataclasses import asdict

        asked = {
            "op": "count",
            "spec": self._spec,
            "messages": [message_to_wire(message) for message in messages],
            "tools": [asdict(tool) for tool in tools],
        }
        return int(await self._call(asked))

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text."""
        asked = {"op": "embed", "spec": self._spec, "texts": list(texts)}
        found: list[list[float]] = await self._call(asked)
        return found

    async def _call(self, asked: dict[str, Any]) -> Any:
        try:
            return await call(self._address, asked)
        except ConnectionError as error:
            raise _gone() from error


def spec_to_wire(spec: EngineSpec) -> dict[str, Any]:
    """The engine to use, as JSON."""
    model = spec.model
    return {
        "backend": spec.backend_name,
        "model": {
            "name": model.name,
            "ref": model.ref,
            "format": model.format,
            "path": str(model.path),
            "size": model.size,
            "forms": {form: str(path) for form, path in model.forms.items()},
        },
        "adapters": [
            {"name": ref.name, "path": str(ref.path), "scale": ref.scale} for ref in spec.adapters
        ],
        "options": dict(spec.options),
    }


async def call(address: Address, asked: dict[str, Any]) -> Any:
    """One request with one answer.

    :raises ConnectionError: the server is not there, or went away.
    :raises OssError: what the server says.
    """
    lines = exchange(address, asked)
    try:
        async for line in lines:
            return line
    finally:
        await lines.aclose()
    raise ConnectionResetError("no answer")


async def exchange(address: Address, asked: dict[str, Any]) -> AsyncGenerator[Any, None]:
    """One request and the lines that come back; errors as :func:`call`."""
    from oss.engines.engine_wire import error_from_wire

    reader, writer = await asyncio.open_connection("127.0.0.1", address.port, limit=LONGEST_LINE)
    try:
        line = json.dumps(asked, ensure_ascii=False, default=str)
        writer.write(f"{address.key}\n{line}\n".encode())
        await writer.drain()
        while text := await reader.readline():
            answer = json.loads(text)
            if "error" in answer:
                raise error_from_wire(answer["error"])
            if "end" in answer:
                return
            yield answer["value"]
        raise ConnectionResetError("the background server went away")
    finally:
        writer.close()


def _gone() -> BackendError:
    return BackendError(
        "the background server went away in the middle of an answer",
        hint="ask again; `oss up` starts a new one",
    )
