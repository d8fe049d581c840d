"""A server on loopback that behaves badly on demand; a package index and a hub on top of it."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
import zipfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

COMMIT = "c" * 40


@dataclass
class Answer:
    """What a path gives."""

    body: bytes
    type: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


@dataclass
class Site:
    """The served paths, and how the server misbehaves.

    :ivar cuts: for each coming answer to a GET of ``large``: bytes after which to hang up.
    :ivar hold: while set, answers of large files stop after 100 kB until it is cleared.
    :ivar login: ``user:password`` that every request must bring.
    :ivar refused: programs (by the start of ``User-Agent``) that get no large file.
    """

    large: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    login: str = ""
    refused: str = "nobody"
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    waiting: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def gets(self, path: str) -> list[str]:
        """The ``Range`` headers of the GETs of one path."""
        return [h.get("range", "") for m, p, h in self.seen if m == "GET" and p == path]


@contextmanager
def serve(site: Site) -> Iterator[Site]:
    """Serve on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            path = self.path.partition("?")[0]
            headers = {k.lower(): v for k, v in self.headers.items()}
            site.seen.append((self.command, path, headers))
            want = "Basic " + base64.b64encode(site.login.encode()).decode()
            if site.login and headers.get("authorization") != want:
                self._send(Answer(b"login", status=401, headers={"WWW-Authenticate": "Basic"}), b"")
                return
            if path == site.large and headers.get("user-agent", "").startswith(site.refused):
                self._send(Answer(b"no", status=403), b"no")
                return
            found = site.answers.get(path, Answer(b"not here", status=404))
            body, extra = found.body, dict(found.headers)
            status = found.status
            asked = headers.get("range", "")
            if asked and site.ranges and status == 200:
                start, _, end = asked.removeprefix("bytes=").partition("-")
                last = int(end) if end and start else len(body) - 1
                first = int(start) if start else max(len(body) - int(end), 0)
                if first >= len(body):
                    self._send(Answer(b"", status=416), b"")
                    return
                extra["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
                body, status = body[first : last + 1], 206
            if site.ranges:
                extra["Accept-Ranges"] = "bytes"
            self._send(Answer(body, found.type, extra, status), body if with_body else None)

        def _send(self, answer: Answer, body: bytes | None) -> None:
            path = self.path.partition("?")[0]
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.type)
            if "Content-Length" not in answer.headers:
                self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if body is None:
                return
            is_large = path == site.large and len(body) > 100_000
            if is_large and site.hold.is_set():
                self.wfile.write(body[:100_000])
                site.waiting.set()
                while site.hold.is_set():
                    time.sleep(0.02)
                body = body[100_000:]
            if is_large and site.cuts:
                self.wfile.write(body[: site.cuts.pop(0)])
                self.close_connection = True
                return
            self.wfile.write(body)

        def handle(self) -> None:
            # The client was stopped: that is what some tests do.
            with suppress(BrokenPipeError, ConnectionResetError):
                super().handle()

        def log_message(self, template: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        site.hold.clear()
        server.shutdown()
        server.server_close()
        thread.join()


def wait_for(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds; an assertion when it never does."""
    for _ in range(int(seconds / 0.02)):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def make_wheel(name: str, version: str, files: Mapping[str, bytes]) -> tuple[str, bytes]:
    """A wheel's file name and bytes."""
    folder = f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    inside = {
        **files,
        f"{folder}/METADATA": metadata,
        f"{folder}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in inside) + f"{folder}/RECORD,,\n"
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, content in {**inside, f"{folder}/RECORD": record.encode()}.items():
            archive.writestr(path, content)
    return f"{name.replace('-', '_')}-{version}-py3-none-any.whl", buffer.getvalue()


def add_wheel(site: Site, name: str, filename: str, wheel: bytes, *, metadata: bool = True) -> None:
    """Put a wheel into the index at ``/simple``, with its metadata beside it (PEP 658) or not."""
    digest = hashlib.sha256(wheel).hexdigest()
    path = f"/files/{filename}"
    beside = ""
    if metadata:
        with zipfile.ZipFile(BytesIO(wheel)) as archive:
            text = archive.read(next(n for n in archive.namelist() if n.endswith("/METADATA")))
        site.answers[f"{path}.metadata"] = Answer(text)
        beside = f' data-core-metadata="sha256={hashlib.sha256(text).hexdigest()}"'
    page = f'<!DOCTYPE html><a href="{path}#sha256={digest}"{beside}>{filename}</a>'
    site.answers[f"/simple/{name}/"] = Answer(page.encode(), "text/html")
    site.answers[path] = Answer(wheel)
    site.large = path


def add_repository(site: Site, repo: str, files: Mapping[str, bytes]) -> None:
    """Put a repository into the hub: ``*.gguf`` and ``*.safetensors`` as large files."""
    siblings = []
    for name, content in files.items():
        is_large = name.endswith((".gguf", ".safetensors"))
        sha256 = hashlib.sha256(content).hexdigest()
        etag = sha256 if is_large else hashlib.sha1(content).hexdigest()
        entry: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": etag[:40]}
        if is_large:
            entry["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 130}
        siblings.append(entry)
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{etag}"'}
        for revision in ("main", COMMIT):
            path = f"/{repo}/resolve/{revision}/{name}"
            site.answers[path] = Answer(content, headers=headers)
            if is_large and revision == COMMIT:
                site.large = path
    info = {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings, "private": False}
    answer = Answer(json.dumps(info).encode(), "application/json")
    site.answers[f"/api/models/{repo}/revision/main"] = answer
    site.answers[f"/api/models/{repo}"] = answer
