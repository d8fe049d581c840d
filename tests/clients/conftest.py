"""Clients that others wrote, against `oss serve` on the starter model."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from oss.testing.program import OssCli, OssHome
from support.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Served:
    """A running server. ``url`` ends in ``/v1``; ``embedder`` is a model that has embeddings."""

    url: str
    model: str
    embedder: str
    home: OssHome

    def metrics(self) -> str:
        with urllib.request.urlopen(self.url.removesuffix("/v1") + "/metrics") as answer:
            return str(answer.read().decode())


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, starter_gguf: Path) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("clients")
    home = OssHome(root / "home", root / "work")
    home.path.mkdir()
    home.cwd.mkdir()
    home.write(
        "config/profiles/tiny.toml",
        f"""
        [model]
        name = {json.dumps(str(starter_gguf))}
        context = 4096
        [persona]
        system = "You are a helpful assistant. Answer in one short sentence."
        [sampling]
        temperature = 0.0
        max_tokens = 48
        [backend.llamacpp]
        threads = 1
        """,
    )
    home.write(
        "config/profiles/vectors.toml",
        """
        [model]
        name = "fake:vectors"
        [backend]
        name = "fake"
        """,
    )
    cli = OssCli(home)
    cli.use_fakes()
    with serving(cli, "-p", "tiny", "-p", "vectors") as live:
        yield Served(live.url, "tiny", "vectors", home)
