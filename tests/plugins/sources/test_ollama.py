from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssCli


def add_model(root: Path, name: str, weights: bytes, registry: str = "registry.ollama.ai") -> Path:
    """What ``ollama pull`` leaves: a manifest and blobs, as Ollama 0.12 lays them out."""

    def blob(content: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        file = root / "blobs" / f"sha256-{digest}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    image = "application/vnd.ollama.image"
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": blob(
            b'{"model_format":"gguf"}', "application/vnd.docker.container.image.v1+json"
        ),
        "layers": [
            blob(weights, f"{image}.model"),
            blob(b"{{ .Prompt }}", f"{image}.template"),
            blob(b'{"stop":["<|im_end|>"]}', f"{image}.params"),
        ],
    }
    repo, _, tag = name.partition(":")
    file = root / "manifests" / registry / repo / tag
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(manifest))
    return root / "blobs" / f"sha256-{hashlib.sha256(weights).hexdigest()}"


@pytest.fixture
def store(cli: OssCli) -> Path:
    return cli.home.path / "ollama"


def test_blobs_are_used_in_place(cli: OssCli, store: Path, gguf: bytes) -> None:
    blob = add_model(store, "library/tiny:latest", gguf)
    other = add_model(store, "ivan/мой:4b", gguf + b"1")
    assert cli.run("model", "path", "ollama:tiny").ok().stdout == f"{blob}\n"
    assert cli.run("model", "path", "ollama:tiny:latest").ok().stdout == f"{blob}\n"
    assert cli.run("model", "path", "ollama:ivan/мой:4b").ok().stdout == f"{other}\n"
    rows = cli.run("model", "list", "--here", "--json").ok().json()
    assert sorted(row["name"] for row in rows) == ["ollama:ivan/мой:4b", "ollama:tiny:latest"]
    assert cli.run("model", "show", "ollama:tiny", "--json").ok().json()["parameters"] == 40_128
    before = sorted(store.rglob("*"))
    assert "not removed by oss" in cli.run("model", "rm", "ollama:tiny", "--yes").failed(4).stderr
    assert sorted(store.rglob("*")) == before


def test_other_registries(cli: OssCli, store: Path, gguf: bytes) -> None:
    blob = add_model(store, "owner/repo:Q4_K_M", gguf, registry="hf.co")
    assert cli.run("model", "path", "ollama:hf.co/owner/repo:Q4_K_M").ok().stdout == f"{blob}\n"
    (row,) = cli.run("model", "list", "--here", "--json").ok().json()
    assert cli.run("model", "path", row["name"]).ok().stdout == f"{blob}\n"


def test_absent_half_fetched_and_damaged(cli: OssCli, store: Path, gguf: bytes) -> None:
    failed = cli.run("model", "pull", "ollama:nothing").failed(4)
    assert "hint: ollama pull nothing" in failed.stderr
    blob = add_model(store, "library/tiny:latest", gguf)
    blob.unlink()
    assert "not whole" in cli.run("model", "show", "ollama:tiny").failed(4).stderr
    assert cli.run("model", "list", "--here", "--json").ok().json() == []
    (store / "manifests/registry.ollama.ai/library/tiny/latest").write_text("{")
    assert "damaged" in cli.run("model", "show", "ollama:tiny").failed(4).stderr
    cli.run("model", "show", "ollama:../../etc").failed(4)


def test_a_manifest_cannot_point_out_of_the_store(cli: OssCli, store: Path, gguf: bytes) -> None:
    add_model(store, "library/tiny:latest", gguf)
    file = store / "manifests/registry.ollama.ai/library/tiny/latest"
    manifest = json.loads(file.read_text())
    manifest["layers"][0]["digest"] = "sha256:/../../../../etc/passwd"
    file.write_text(json.dumps(manifest))
    assert "damaged" in cli.run("model", "show", "ollama:tiny").failed(4).stderr
