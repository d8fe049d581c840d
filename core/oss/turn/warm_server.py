"""The background server's side of :mod:`oss.turn.warm`."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import secrets
import time
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from oss import __version__
from oss.contracts.adapter import AdapterRef
from oss.contracts.errors import BackendError, BusyError, OssError, StorageError
from oss.contracts.messages import ToolSpec
from oss.contracts.model import LocalModel
from oss.contracts.wire import message_from_wire
from oss.engines.engine_wire import delta_to_wire, error_to_wire, info_to_wire, request_from_wire
from oss.turn.spec import EngineSpec
from oss.turn.warm import LONGEST_LINE, address_file, run_dir

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from oss.contracts.chat import Delta
    from oss.plugins.manager import Plugins
    from oss.turn.pool import EnginePool

KEY_BYTES = 64
PATIENCE_S = 10.0
"""How long a connection may take to show the key and say what it wants."""


class WarmServer:
    """Lends the engines of a pool to other processes of this user.

    :ivar stopped: set when someone has asked the server to end.
    """

    def __init__(self, pool: EnginePool, plugins: Plugins) -> None:
        self.stopped = asyncio.Event()
        self._pool = pool
        self._plugins = plugins
        self._key = secrets.token_hex(KEY_BYTES // 2)
        self._since = time.time()
        self._talks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Be found by ``oss run`` and others while the context lasts.

        :raises BusyError: this user has such a server already.
        :raises StorageError: its file cannot be written.
        """
        with _alone():
            server = await asyncio.start_server(
                self._accept, "127.0.0.1", 0, limit=LONGEST_LINE, backlog=128
            )
            try:
                _publish(server.sockets[0].getsockname()[1], self._key)
                yield
            finally:
                address_file().unlink(missing_ok=True)
                server.close()
                for talk in self._talks:
                    talk.cancel()
                await asyncio.gather(*self._talks, return_exceptions=True)
                await server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.create_task(self._talk(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await asyncio.wait_for(self._read(reader), PATIENCE_S)
            if asked is None:
                return
            work = asyncio.ensure_future(self._answer(asked, writer))
            gone = asyncio.ensure_future(reader.read())
            try:
                await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                work.cancel()
                gone.cancel()
                await asyncio.wait({work, gone})
            if not work.cancelled():
                work.result()
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            pass  # whoever it was has left, or does not speak this
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Any:
        given = await reader.readexactly(KEY_BYTES + 1)
        if not hmac.compare_digest(given[:-1], self._key.encode()):
            return None
        return json.loads(await reader.readline())

    async def _answer(self, asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        try:
            async with aclosing(self._values(asked)) as values:
                async for value in values:
                    await _send(writer, {"value": value})
            await _send(writer, {"end": True})
        except OssError as error:
            await _send(writer, {"error": error_to_wire(error)})
        except (KeyError, TypeError) as error:
            problem = BackendError(f"the background server does not understand: {error!r}")
            await _send(writer, {"error": error_to_wire(problem)})

    async def _values(self, asked: dict[str, Any]) -> AsyncGenerator[Any, None]:
        op = asked["op"]
        if op == "down":
            self.stopped.set()
            yield True
            return
        if op == "ps":
            yield {"pid": os.getpid(), "since": self._since, "engines": self._engines()}
            return
        async with self._pool.lease(self._spec(asked["spec"])) as engine:
            if op == "open":
                yield info_to_wire(engine.info)
            elif op == "count":
                messages = [message_from_wire(message) for message in asked["messages"]]
                tools = [ToolSpec(**tool) for tool in asked["tools"]]
                yield await engine.count_tokens(messages, tools)
            elif op == "embed":
                yield await engine.embed(asked["texts"])
            elif op == "chat":
                request = request_from_wire(asked["request"])
                stream = cast("AsyncGenerator[Delta, None]", engine.chat(request))
                async with aclosing(stream) as deltas:
                    async for delta in deltas:
                        yield delta_to_wire(delta)
            else:
                raise KeyError(op)

    def _spec(self, wire: dict[str, Any]) -> EngineSpec:
        model = wire["model"]
        descriptor = self._plugins.find("backends", wire["backend"])
        return EngineSpec(
            descriptor.name,
            self._plugins.load("backends", descriptor.name),
            descriptor.capabilities,
            LocalModel(
                model["name"],
                model["ref"],
                model["format"],
                Path(model["path"]),
                model["size"],
                {form: Path(path) for form, path in model["forms"].items()},
            ),
            tuple(AdapterRef(a["name"], Path(a["path"]), a["scale"]) for a in wire["adapters"]),
            wire["options"],
        )

    def _engines(self) -> list[dict[str, Any]]:
        now = time.monotonic()
        return [
            {
                "model": loaded.spec.model.name,
                "backend": loaded.spec.backend_name,
                "adapters": [ref.name for ref in loaded.spec.adapters],
                "ready": loaded.engine is not None,
                "context": loaded.engine.info.context if loaded.engine else None,
                "requests": loaded.users,
                "idle_s": 0.0 if loaded.users else round(now - loaded.used, 1),
                "memory": loaded.need,
            }
            for loaded in self._pool.loaded
        ]


async def serve_warm(pool: EnginePool, plugins: Plugins) -> None:
    """Run until a signal, or someone's ``oss down``."""
    import signal

    server = WarmServer(pool, plugins)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stopped.set)
    try:
        async with server.listening():
            await server.stopped.wait()
    finally:
        await pool.close()


async def _send(writer: asyncio.StreamWriter, answer: dict[str, Any]) -> None:
    writer.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
    await writer.drain()


@contextmanager
def _alone() -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        run_dir().mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(run_dir() / "warm.lock", timeout=0):
            yield
    except Timeout:
        raise BusyError(
            "there is a background server already", hint="oss ps; oss down ends it"
        ) from None


def _publish(port: int, key: str) -> None:
    """Write the file that others find the server by; no one else may read it."""
    aside = address_file().with_suffix(".new")
    try:
        aside.unlink(missing_ok=True)
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"pid": os.getpid(), "port": port, "key": key, "version": __version__}, file)
        aside.replace(address_file())
    except OSError as error:
        raise StorageError(f"{aside} cannot be written: {error.strerror}") from error
