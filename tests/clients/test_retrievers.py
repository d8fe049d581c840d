"""The retrievers of docs/retrieval.md, with the real libraries, over a real collection."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oss.testing.program import OssCli, OssHome
from support.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.clients
PAGE = Path(__file__).parents[2] / "docs" / "retrieval.md"
BLOCKS = [part.partition("```")[0] for part in PAGE.read_text("utf-8").split("```python\n")[1:]]
NEEDS = {"LangChain": "langchain_core", "LlamaIndex": "llama_index.core", "Haystack": "haystack"}
FILES = {
    "grace.md": "The grace period of a licence is fourteen days long.",
    "чай.md": "Зелёный чай не ферментируют.",
    "moon.md": "The moon has craters and no air.",
}
PROFILE = """
    [model]
    name = "fake:one"
    [backend]
    name = "fake"
    [retriever]
    name = "qdrant"
    collections = ["work"]
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server with the profile ``work`` over the collection of that name."""
    pytest.importorskip("qdrant_edge")
    root = tmp_path_factory.mktemp("retrievers")
    home = OssHome(root / "home", root / "work")
    home.path.mkdir()
    home.cwd.mkdir()
    home.write("config/profiles/work.toml", PROFILE)
    for name, text in FILES.items():
        (home.cwd / name).write_text(text, "utf-8")
    cli = OssCli(home)
    cli.use_fakes()
    cli.run("docs", "add", ".", "--to", "work", "--embedder", "fake").ok()
    with serving(cli, "-p", "work") as live:
        yield live.url


def test_there_are_three() -> None:
    assert [block.split()[1] for block in BLOCKS] == list(NEEDS)


@pytest.mark.parametrize("source", BLOCKS, ids=list(NEEDS))
def test_a_retriever(address: str, source: str) -> None:
    pytest.importorskip(NEEDS[source.split()[1]])
    assert "http://127.0.0.1:8765/v1" in source
    done = subprocess.run(
        [sys.executable, "-c", source.replace("http://127.0.0.1:8765/v1", address)],
        env={**os.environ, "HAYSTACK_TELEMETRY_ENABLED": "False", "LANGSMITH_TRACING": "false"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.strip().splitlines()
    assert "grace.md" in line
    assert "fourteen days" in line
