"""A retriever and an embedder without models: texts that share words are near."""

from __future__ import annotations

import hashlib
import math
import re
import zlib
from typing import TYPE_CHECKING

from oss.contracts.retriever import Document, Embedder, IndexReport, Passage, Retriever
from oss.retrieval.filters import holds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from oss.contracts.filters import Filter

DIMENSION = 64


def word_vector(text: str, dimension: int = DIMENSION) -> list[float]:
    """A unit vector that counts the words of a text, hashed into ``dimension`` places."""
    vector = [0.0] * dimension
    for word in re.findall(r"\w+", text.lower()):
        vector[zlib.crc32(word.encode()) % dimension] += 1.0
    length = math.sqrt(sum(x * x for x in vector))
    return [x / length for x in vector] if length else [1.0, *vector[1:]]


class FakeEmbedder(Embedder):
    """Vectors of hashed words.

    :ivar embedded: every document text it was given, in order.
    """

    name = "fake"

    def __init__(self, dimension: int = DIMENSION) -> None:
        self.dimension = dimension
        self.embedded: list[str] = []

    async def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector per text."""
        self.embedded += texts
        return [word_vector(text, self.dimension) for text in texts]

    async def embed_query(self, text: str) -> list[float]:
        """The vector of the question, made like a document's."""
        return word_vector(text, self.dimension)


class FakeRetriever(Retriever):
    """An index in memory; every paragraph of a document is a passage."""

    def __init__(self, *documents: Document, embedder: Embedder | None = None) -> None:
        self.embedder = embedder or FakeEmbedder()
        self.queries: list[str] = []
        self._waiting = list(documents)
        self._hashes: dict[str, str] = {}
        self._chunks: dict[str, list[tuple[Passage, list[float]]]] = {}

    async def index(self, documents: Iterable[Document]) -> IndexReport:
        """Add or replace documents by id; a document with the same content is left alone."""
        added = unchanged = chunks = 0
        for document in documents:
            digest = hashlib.sha256(
                repr((document.text, sorted(document.metadata.items()))).encode()
            ).hexdigest()
            if self._hashes.get(document.id) == digest:
                unchanged += 1
                continue
            passages = [
                Passage(m.group(), document.id, m.span(), 0.0, dict(document.metadata))
                for m in re.finditer(r"\S(?:.|\n(?!\s*\n))*", document.text)
            ]
            vectors = await self.embedder.embed_documents([p.text for p in passages])
            self._chunks[document.id] = list(zip(passages, vectors, strict=True))
            self._hashes[document.id] = digest
            added += 1
            chunks += len(passages)
        return IndexReport(added=added, unchanged=unchanged, embedded_chunks=chunks)

    async def search(self, query: str, k: int = 5, where: Filter | None = None) -> list[Passage]:
        """The passages whose words are nearest to the question's."""
        self.queries.append(query)
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            await self.index(waiting)
        wanted = await self.embedder.embed_query(query)
        found = [
            (sum(a * b for a, b in zip(vector, wanted, strict=True)), passage)
            for chunks in self._chunks.values()
            for passage, vector in chunks
            if where is None or holds(where, {"source": passage.source, **passage.metadata})
        ]
        found.sort(key=lambda pair: -pair[0])
        return [
            Passage(p.text, p.source, p.span, score, p.metadata) for score, p in found[: max(k, 0)]
        ]

    async def count(self) -> int:
        """The passages held, those of documents given at the start included."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            await self.index(waiting)
        return sum(len(chunks) for chunks in self._chunks.values())
