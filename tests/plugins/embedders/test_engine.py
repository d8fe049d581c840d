"""Embeddings of a backend, over a real server that speaks the OpenAI API."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import CapabilityError, ConfigError, ModelError, UsageError
from oss.testing.conformance.embedder import EmbedderConformance
from oss.testing.fake_retrieval import word_vector
from oss_plugins.embedders.engine import EngineEmbedder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oss.contracts.retriever import Embedder
    from oss.testing.program import OssCli

pytest.importorskip("httpx")
LIMIT = 40
"""Texts that the server takes at once."""


class Words(BaseHTTPRequestHandler):
    """Vectors of hashed words for a model called ``words``."""

    asked: list[list[str]]

    def do_GET(self) -> None:
        self._send(200, {"data": [{"id": "words"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = body["input"]
        self.asked.append(texts)
        if body["model"] != "words" or len(texts) > LIMIT or not all(texts):
            self._send(400, {"error": {"message": "no"}})
            return
        rows = [{"index": i, "embedding": word_vector(t, 32)} for i, t in enumerate(texts)]
        self._send(200, {"data": rows[::-1]})

    def _send(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("OSS_HOME", str(tmp_path))
    Words.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Words)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


class TestEngine(EmbedderConformance):
    @pytest.fixture
    def embedder(self, url: str) -> Embedder:
        return EngineEmbedder(model="words", options=[f"url={url}"])


async def test_prefixes_go_before_texts_and_questions(url: str) -> None:
    embedder = EngineEmbedder(
        model="words", options=[f"url={url}"], query_prefix="q: ", document_prefix="d: "
    )
    await embedder.embed_documents(["one", "два"])
    await embedder.embed_query("three")
    await embedder.close()
    assert Words.asked == [["d: one", "d: два"], ["q: three"]]
    assert embedder.fingerprint != EngineEmbedder(model="words").fingerprint


async def test_what_cannot_be(url: str) -> None:
    with pytest.raises(ConfigError, match="needs a model"):
        EngineEmbedder()
    with pytest.raises(UsageError, match="embedder backend: 'url' is not of the form KEY=VALUE"):
        await EngineEmbedder(model="words", options=["url"]).embed_query("x")
    with pytest.raises(CapabilityError, match="has no embeddings"):
        await EngineEmbedder(model="words", backend="llamacpp").embed_query("x")
    with pytest.raises(ModelError, match="no model 'other'"):
        await EngineEmbedder(model="other", options=[f"url={url}"]).embed_query("x")


def test_a_collection_is_made_and_searched_with_it(oss_cli: OssCli, url: str) -> None:
    pytest.importorskip("qdrant_edge")
    (oss_cli.home.cwd / "кот.md").write_text("Манул живёт в степях.", encoding="utf-8")
    (oss_cli.home.cwd / "tea.md").write_text("Tea is brewed from leaves.", encoding="utf-8")
    options = ("--embedder-option", "model=words", "--embedder-option", f'options=["url={url}"]')
    oss_cli.run("docs", "add", ".", "--to", "work", "--embedder", "backend", *options).ok()
    found = oss_cli.run("docs", "search", "манул в степях", "-k", "1", "--json").ok().json()
    assert found[0]["source"].endswith("кот.md")
