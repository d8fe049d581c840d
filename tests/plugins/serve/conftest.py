"""A server over fake engines, on a real port of loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from oss.plugins.discovery import EntryPoint
from oss.plugins.manager import Plugins
from oss.testing import fakes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from oss.testing.program import OssHome

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
pytest.importorskip("prometheus_client")

PROFILE = """
    [model]
    name = "fake:one"
    [backend]
    name = "fake"
    [persona]
    system = "Be kind."
"""


class ScriptedBackend(fakes.FakeBackend):
    """Every engine that the server opens answers from one script."""

    script_of_test: ClassVar[list[Any]] = []
    opened: ClassVar[list[fakes.FakeEngine]] = []

    def __init__(self) -> None:
        super().__init__()
        self.script = ScriptedBackend.script_of_test
        self.engines = ScriptedBackend.opened


@dataclass
class Live:
    """A running server."""

    port: int
    service: Any
    script: list[Any]
    engines: list[fakes.FakeEngine]
    headers: dict[str, str] = field(default_factory=dict)
    open: list[HTTPConnection] = field(default_factory=list)

    def send(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> HTTPResponse:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        self.open.append(connection)
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection.request(method, path, raw, {**self.headers, **(headers or {})})
        return connection.getresponse()

    def close(self) -> None:
        while self.open:
            self.open.pop().close()

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        response = self.send("POST", path, body, headers)
        found = response.status, json.loads(response.read())
        response.close()
        self.close()
        return found

    def chat(self, text: str = "hello there", **extra: Any) -> tuple[int, Any]:
        return self.post(
            "/v1/chat/completions",
            {"model": "mine", "messages": [{"role": "user", "content": text}], **extra},
        )

    def events(self, path: str, body: Any) -> list[Any]:
        """The data of server-sent events; ``[DONE]`` as text."""
        response = self.send("POST", path, {**body, "stream": True})
        assert response.status == 200, response.read()
        assert response.getheader("content-type") == "text/event-stream"
        found = []
        for line in response.read().decode().split("\n"):
            if line.startswith("data: "):
                text = line.removeprefix("data: ")
                found.append(text if text == "[DONE]" else json.loads(text))
        return found


@contextmanager
def running(settings: Any, plugins: Plugins) -> Iterator[Live]:
    import uvicorn

    from oss.turn.pool import EnginePool
    from oss_plugins.serve.app import build_app
    from oss_plugins.serve.service import Service

    listening = socket.create_server(("127.0.0.1", 0))
    made: dict[str, Any] = {}
    ready = threading.Event()

    async def serve() -> None:
        pool = EnginePool(keep_alive=settings.keep_alive, wait=settings.wait)
        service = Service(plugins, settings, pool)
        config = uvicorn.Config(
            build_app(service), log_level="warning", loop="asyncio", http="h11", ws="none"
        )
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        made.update(service=service, server=server)
        ready.set()
        await server._serve([listening])
        leaked = asyncio.all_tasks() - {asyncio.current_task()}
        made["leaked"] = [str(task) for task in leaked]

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    while not made["server"].started:
        assert thread.is_alive()
    live = Live(
        listening.getsockname()[1],
        made["service"],
        ScriptedBackend.script_of_test,
        ScriptedBackend.opened,
    )
    try:
        yield live
    finally:
        live.close()
        made["server"].should_exit = True
        thread.join(30)
        listening.close()
        assert not thread.is_alive()
    assert made["leaked"] == []


@pytest.fixture
def server(oss_home: OssHome, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``server(**settings)`` is a context with a :class:`Live`."""
    from oss_plugins.serve.settings import Settings

    ScriptedBackend.script_of_test = []
    ScriptedBackend.opened = []
    monkeypatch.setattr(fakes, "FakeBackend", ScriptedBackend)
    oss_home.write("config/profiles/mine.toml", PROFILE)
    plugins = Plugins(
        [
            EntryPoint("fakes", "oss.testing.plugin", "oss", "1"),
            EntryPoint("sources", "oss_plugins.sources", "oss", "1"),
        ]
    )

    def start(**settings: Any) -> Any:
        settings.setdefault("profiles", ("mine",))
        return running(Settings(**settings), plugins)

    return start


@pytest.fixture
def live(server: Callable[..., Any]) -> Iterator[Live]:
    with server() as found:
        yield found
