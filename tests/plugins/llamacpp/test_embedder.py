"""Embedding models as GGUF files. No real one can be had where tests run: the starter, whose tokens
are averaged, stands in for it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import ConfigError, ModelError
from oss.testing.conformance.embedder import TEXTS, EmbedderConformance
from oss_plugins.llamacpp.embedder import GgufEmbedder

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.model import LocalModel
    from oss.contracts.retriever import Embedder
    from oss.testing.program import OssCli, OssHome

pytest.importorskip("xllamacpp")
pytestmark = pytest.mark.real


class TestGguf(EmbedderConformance):
    @pytest.fixture(scope="class")
    def embedder(self, starter_gguf: Path) -> Embedder:
        return GgufEmbedder(model=str(starter_gguf), pooling="mean")


async def test_what_lies_behind_the_longest_text_is_not_seen(starter_gguf: Path) -> None:
    embedder = GgufEmbedder(model=str(starter_gguf), pooling="mean")
    long = "слово и дело " * 600
    one, other, short = await embedder.embed_documents([long, long + "и ещё", TEXTS[0]])
    await embedder.close()
    assert one == other != short
    assert embedder.max_tokens == 1024


async def test_prefixes_make_another_embedder(starter_gguf: Path) -> None:
    plain = GgufEmbedder(model=str(starter_gguf), pooling="mean")
    asking = GgufEmbedder(model=str(starter_gguf), pooling="mean", query_prefix="query: ")
    assert plain.fingerprint != asking.fingerprint
    assert await plain.embed_query("query: bees") == await asking.embed_query("bees")
    await plain.close()
    await asking.close()


async def test_what_cannot_embed_says_why(starter_gguf: Path, broken: LocalModel) -> None:
    with pytest.raises(ConfigError, match="needs a model"):
        GgufEmbedder()
    chat = GgufEmbedder(model=str(starter_gguf))
    with pytest.raises(ConfigError, match="how its tokens make one vector"):
        await chat.embed_query("bees")
    await chat.close()
    with pytest.raises(ModelError):
        await GgufEmbedder(model=str(broken.path)).embed_query("bees")


def test_a_collection_is_made_and_searched_with_it(starter_home: OssHome, oss_cli: OssCli) -> None:
    pytest.importorskip("qdrant_edge")
    for number, text in enumerate(TEXTS):
        (starter_home.cwd / f"{number}.md").write_text(text, encoding="utf-8")
    options = ("--embedder-option", "model=starter", "--embedder-option", "pooling=mean")
    oss_cli.run("docs", "add", ".", "--to", "work", "--embedder", "gguf", *options).ok()
    for number, text in enumerate(TEXTS):
        found = oss_cli.run("docs", "search", text, "--mode", "dense", "-k", "1", "--json").ok()
        assert json.loads(found.stdout)[0]["source"].endswith(f"{number}.md")
