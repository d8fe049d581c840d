"""`/v1/embeddings` where the engine has none: by what embeds the profile's documents."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest

from support.serving import serving

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssCli

pytest.importorskip("xllamacpp")
pytest.importorskip("qdrant_edge")
pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")


def post(port: int, body: dict[str, Any]) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/v1/embeddings", json.dumps(body))
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


@pytest.mark.real
def test_the_embedder_of_the_documents(oss_cli: OssCli, starter_gguf: Path) -> None:
    oss_cli.use_fakes()
    model = f"[model]\nname = {json.dumps(str(starter_gguf))}\n"
    oss_cli.home.write("config/profiles/bare.toml", model)
    oss_cli.home.write(
        "config/profiles/работа.toml",
        model + '[retriever]\nname = "qdrant"\ncollections = ["work"]\n',
    )
    (oss_cli.home.cwd / "чай.md").write_text("Зелёный чай не ферментируют.", "utf-8")
    oss_cli.run("docs", "add", ".", "--to", "work", "--embedder", "fake").ok()
    with serving(oss_cli, "-p", "работа", "-p", "bare") as live:
        status, found = post(live.port, {"model": "работа", "input": ["зелёный чай", "moon"]})
        assert status == 200, found
        one, two = (entry["embedding"] for entry in found["data"])
        assert len(one) == len(two) > 1
        assert one != two
        assert found["usage"]["prompt_tokens"] > 0
        status, again = post(live.port, {"model": "работа", "input": "зелёный чай"})
        assert again["data"][0]["embedding"] == pytest.approx(one, abs=1e-6)
        status, refused = post(live.port, {"model": "bare", "input": "x"})
        assert status == 400
        assert "has no embeddings" in refused["error"]["message"]
        connection = HTTPConnection("127.0.0.1", live.port, timeout=20)
        connection.request("GET", "/metrics")
        assert "oss_engines_loaded 0.0" in connection.getresponse().read().decode()
        connection.close()
