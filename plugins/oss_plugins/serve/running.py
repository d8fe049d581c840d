"""Runs the server until a signal ends it."""

from __future__ import annotations

import asyncio
import math
import signal
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from oss.contracts.errors import BusyError, OssError, UsageError
from oss.turn.pool import EnginePool
from oss_plugins.serve.app import build_app
from oss_plugins.serve.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from oss_plugins.serve.settings import Settings


class _Server(uvicorn.Server):
    """Ends with exit code 0 when a signal has asked it to. A second signal breaks off what still
    runs; a third one waits for nothing at all.
    """

    _breaking_off = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Take a signal."""
        if not self.should_exit:
            self.should_exit = True
        elif not self._breaking_off:
            self._breaking_off = True
            loop = asyncio.get_running_loop()
            for task in list(self.server_state.tasks):
                loop.call_soon_threadsafe(task.cancel)
        else:
            self.force_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        wanted = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run_server(settings: Settings, host: str, port: int, *, load: bool = False) -> int:
    """Serve until SIGINT or SIGTERM; running answers have ``settings.grace`` seconds to end."""
    return asyncio.run(_run(settings, host, port, load=load))


async def _run(settings: Settings, host: str, port: int, *, load: bool) -> int:
    from oss.plugins.manager import load_plugins

    pool = EnginePool(keep_alive=settings.keep_alive, wait=settings.wait)
    service = Service(load_plugins(), settings, pool)
    names = [name for name in service.catalogue.names() if ":" not in name]
    for name, error in service.catalogue.problems():
        _say(f"not served: {name}: {error.message}")
    if not names:
        raise UsageError("no profile works here", hint="oss model pull starter; oss doctor")
    listening = _listen(host, port)
    address = _address(listening)
    config = uvicorn.Config(
        build_app(service),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.grace),  # it takes whole seconds
        ws="none",
        proxy_headers=False,
        loop="asyncio",
        http="h11",
    )
    server = _Server(config)
    loading = asyncio.create_task(_load(service, names if load else []))
    _say(f"serving {', '.join(names)} at {address}/v1" + ("" if settings.key else " (no key)"))
    try:
        await server.serve(sockets=[listening])
    finally:
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
        listening.close()
    return 0


async def _load(service: Service, names: list[str]) -> None:
    for name in names:
        try:
            async with service.engine(service.catalogue.find(name)):
                _say(f"loaded: {name}")
        except OssError as error:
            _say(f"not loaded: {name}: {error.message}")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise BusyError(
            f"cannot listen on {host} port {port}: {error.strerror}",
            hint="another --port, or 0 for a free one",
        ) from error
    listening.listen(2048)
    return listening


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
