"""LangChain's own store reads a collection that oss wrote, with no arguments but its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oss.contracts.store import CollectionSettings
from oss.retrieval.chunking import Chunk
from oss.retrieval.writing import ChunkedDocument, CollectionWriter
from oss.testing.fake_retrieval import FakeEmbedder, word_vector
from oss_plugins.qdrant.server import Server
from oss_plugins.qdrant.store import QdrantStore

if TYPE_CHECKING:
    from pathlib import Path


async def test_langchain_reads_the_collection(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_client")
    library = pytest.importorskip("langchain_qdrant")
    from langchain_core.embeddings import Embeddings

    class Same(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [word_vector(text, 64) for text in texts]

        def embed_query(self, text: str) -> list[float]:
            return word_vector(text, 64)

    store = QdrantStore(tmp_path, url=":memory:")
    embedder = FakeEmbedder(64)
    with store.create("work", CollectionSettings("fake", 64, {}, "fake", "x")) as collection:
        writer = CollectionWriter(collection, embedder)
        texts = {"a.md": "green tea is not fermented", "b.md": "the moon has craters"}
        await writer.write(
            [ChunkedDocument(name, [Chunk(text, (0, len(text)))]) for name, text in texts.items()]
        )
        await writer.finish()
    assert isinstance(store.place, Server)
    theirs = library.QdrantVectorStore(
        client=store.place.client, collection_name="work", embedding=Same()
    )
    (found,) = theirs.similarity_search("craters of the moon", k=1)
    assert found.page_content == "the moon has craters"
    assert found.metadata["source"] == "b.md"
