"""A real server over the starter model, and small ones that misbehave."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.model import LocalModel
from oss_plugins.openai_api import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEFAULTS: dict[str, Any] = {**{o.name: o.default for o in OPTIONS}, "context": 0}
REMOTE = LocalModel("remote:m", "remote:m", "remote")

SERVER = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx, params.n_parallel, params.kv_unified = 1024, 4, True
params.verbosity, params.warmup = 0, False
params.api_keys = ["sesame"]
params.cache_prompt = False  # taking up a kept one may change the last bits
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="session", autouse=True)
def _home_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    pytest.importorskip("httpx2")
    pytest.importorskip("tenacity")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSS_HOME", str(tmp_path_factory.mktemp("openai-home")))
        patch.setenv("LLAMA_KEY", "sesame")
        yield


@pytest.fixture(scope="session")
def llama_url(starter_gguf: Path) -> Iterator[str]:
    """llama.cpp's own server, in a process of its own."""
    pytest.importorskip("xllamacpp")
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(starter_gguf)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.kill()
        process.wait()
        process.stdout.close()


@dataclass
class Asked:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Reply:
    """What the server sends; ``cut`` announces more bytes than it sends."""

    body: bytes = b""
    status: int = 200
    type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


def reply(value: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(value).encode(), status)


def events(*chunks: Any, done: bool = True, cut: bool = False) -> Reply:
    lines = [f"data: {c if isinstance(c, str) else json.dumps(c)}\n\n" for c in chunks]
    if done:
        lines.append("data: [DONE]\n\n")
    return Reply("".join(lines).encode(), type="text/event-stream", cut=cut)


def chunk(content: str | None = None, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    piece = delta if content is None else {"content": content, **delta}
    return {"choices": [{"index": 0, "delta": piece, "finish_reason": finish}]}


MODELS = {"data": [{"id": "m", "owned_by": "somebody"}]}


class Server:
    """Answers from a script, by path; the last reply of a path is given again and again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.script: dict[str, list[Reply | Callable[[dict[str, Any]], Reply]]] = {
            "/v1/models": [reply(MODELS)]
        }

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        replies = self.script.get(asked.path, [reply({"error": "no such path"}, 404)])
        found = replies.pop(0) if len(replies) > 1 else replies[0]
        return found(asked.body) if callable(found) else found

    def says(self, *replies: Reply | Callable[[dict[str, Any]], Reply]) -> None:
        """To requests for an answer."""
        self.script["/v1/chat/completions"] = list(replies)

    @property
    def chats(self) -> list[dict[str, Any]]:
        return [asked.body for asked in self.asked if asked.path.endswith("/chat/completions")]


@contextmanager
def serving() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def handle_one(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            raw = self.rfile.read(size)
            headers = {name.lower(): value for name, value in self.headers.items()}
            found = scripted.answer(Asked(self.path, headers, json.loads(raw) if raw else {}))
            self.send_response(found.status)
            for name, value in {"Content-Type": found.type, **found.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(found.body) + 100 * found.cut))
            self.end_headers()
            self.wfile.write(found.body)
            if found.cut:
                self.close_connection = True

        do_GET = do_POST = handle_one  # noqa: N815

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scripted = Server(f"http://127.0.0.1:{http.server_port}/v1")
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield scripted
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as found:
        yield found
