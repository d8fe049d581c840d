"""A collection filled from files, without the program: for tests of the indexer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oss.plugins.manager import load_plugins
from oss.retrieval.chunking import chunker_name
from oss.retrieval.indexing.indexer import Indexer, check_manifest, compare, unchanged
from oss.retrieval.indexing.manifest import indexing
from oss.retrieval.indexing.reading import Reader
from oss.retrieval.indexing.roots import Root, Rules
from oss.retrieval.opening import new_settings
from oss.testing.fakes import FakeEmbedder
from oss_plugins.qdrant.store import QdrantStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from oss.contracts.store import VectorStore
    from oss.retrieval.indexing.report import Report


class CountingEmbedder(FakeEmbedder):
    """Remembers what it was asked to embed."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    async def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        self.texts += texts
        return await super().embed_documents(texts)


@dataclass
class Place:
    """A collection ``work`` that is made from one folder."""

    home: Path
    folder: Path
    rules: Rules = field(default_factory=Rules)
    words: int = 170
    embedder: CountingEmbedder = field(default_factory=CountingEmbedder)

    @property
    def store(self) -> VectorStore:
        return QdrantStore(self.home / "data" / "collections")

    def sync(self, *, full: bool = False) -> Report:
        """Index, and forget what was embedded before."""
        self.embedder.texts.clear()
        if not self.store.exists("work"):
            made = asyncio.run(new_settings(self.embedder, {}, chunker_name(self.words)))
            self.store.create("work", made).close()
        with indexing(self.store, "work") as manifest:
            check_manifest(manifest, self.store.settings("work"))
            plan = compare(
                manifest, [Root(str(self.folder), "", self.rules)], whole=True, full=full
            )
            if report := unchanged("work", manifest, plan):
                return report
            reader = Reader(load_plugins(), self.words)
            return asyncio.run(
                Indexer(self.store, "work", manifest, reader, self.embedder).run(plan)
            )

    def state(self) -> dict[str, Any]:
        return collection_state(self.store, "work")

    def texts(self) -> list[str]:
        with self.store.open("work") as collection:
            return sorted(point.text for point in collection.scroll())


def collection_state(store: VectorStore, name: str) -> dict[str, Any]:
    """All of a collection that can be read, and its manifest, in a form to compare."""
    with store.open(name) as collection:
        points = {
            p.id: (
                p.text,
                dict(p.metadata),
                p.dense,
                sorted(zip(p.sparse.indices, p.sparse.values, strict=True)) if p.sparse else None,
            )
            for p in collection.scroll(vectors=True)
        }
        settings = collection.settings
    with indexing(store, name) as manifest:
        rows = {path: row._replace(mtime=0) for path, row in manifest.rows().items()}
        return {"points": points, "settings": settings, "rows": rows, "roots": manifest.roots()}
