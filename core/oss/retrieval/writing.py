"""Filling a collection: what is new is embedded, what is there is kept, what went is deleted.

The state that this leaves depends on the documents alone, not on the order or the number of runs
that brought them: ids come from content, BM25's average length is taken in steps, languages are
counted from what is stored. So a run that was killed is finished by running it again.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from oss.contracts.filters import OneOf
from oss.contracts.store import Point, StoreFeature
from oss.retrieval.ids import chunk_ids, text_hash
from oss.retrieval.language import language_of, most_frequent
from oss.retrieval.matching import check_embedder
from oss.retrieval.sparse import START_AVERAGE, document_vector, length_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oss.contracts.retriever import Embedder
    from oss.contracts.store import Collection, SparseVector
    from oss.retrieval.chunking import Chunk

_STEP = 1.1
_BATCH = 1000


class VectorCache(Protocol):
    """Vectors by hash of the text, of one embedder; so that moved text is not embedded again."""

    def get(self, hashes: Sequence[str]) -> Mapping[str, Sequence[float]]:
        """Those that are known."""

    def put(self, vectors: Mapping[str, Sequence[float]]) -> None:
        """Remember more."""


@dataclass(frozen=True)
class ChunkedDocument:
    """A document, cut.

    :param source: its name in answers: a path, an address. All its chunks carry it.
    :param metadata: goes to every chunk, under the chunk's own (``title``, ``format``, ...).
    """

    source: str
    chunks: Sequence[Chunk]
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Written:
    """What became of the chunks of one document."""

    source: str
    embedded: int = 0
    kept: int = 0
    removed: int = 0
    language: str = ""


def step_of(average: float) -> float:
    """An average length, rounded to steps of a tenth."""
    return round(_STEP ** round(math.log(max(average, 1.0), _STEP)), 2)


class CollectionWriter:
    """Writes documents into an open collection.

    Nothing is safe until :meth:`commit` returns; call it before noting down elsewhere what was
    indexed. Call :meth:`finish` once at the end of a run.
    """

    def __init__(
        self, collection: Collection, embedder: Embedder, cache: VectorCache | None = None
    ) -> None:
        check_embedder(collection.name, collection.settings, embedder)
        self.collection = collection
        self.embedder = embedder
        self.cache = cache
        self.changed = 0

    async def write(self, documents: Sequence[ChunkedDocument]) -> list[Written]:
        """Make the collection hold exactly these chunks of these sources; other sources stay.

        Many documents at once embed faster than one by one; new points are in before stale ones
        go, so that a search in between finds at least one of them.
        """
        sources = tuple(document.source for document in documents)
        before = await asyncio.to_thread(self._stored, sources)
        wanted: dict[str, Point] = {}
        texts: dict[str, str] = {}
        languages: dict[str, str] = {}
        for document in documents:
            sample = "\n".join(chunk.text for chunk in document.chunks[:20])
            languages[document.source] = language_of(sample)
            for point, search_text in self._points(document, languages[document.source]):
                wanted[point.id] = point
                texts[point.id] = search_text
        new = [name for name in wanted if name not in before]
        vectors = await self._embed({name: texts[name] for name in new})
        moved = [
            name
            for name, point in wanted.items()
            if name in before and dict(before[name].metadata) != dict(point.metadata)
        ]
        stale = [name for name in before if name not in wanted]
        await asyncio.to_thread(self._store, wanted, texts, vectors, moved, stale)
        self.changed += len(new) + len(stale)
        return [
            Written(
                source,
                embedded=sum(wanted[name].metadata["source"] == source for name in new),
                kept=sum(p.metadata["source"] == source for n, p in wanted.items() if n in before),
                removed=sum(before[name].metadata["source"] == source for name in stale),
                language=languages[source],
            )
            for source in sources
        ]

    async def remove(self, sources: Sequence[str]) -> int:
        """Delete every chunk of these sources; how many there were."""
        names = list(await asyncio.to_thread(self._stored, tuple(sources)))
        await asyncio.to_thread(self.collection.delete, names)
        self.changed += len(names)
        return len(names)

    async def commit(self) -> None:
        """Return when everything written outlives a killed process."""
        await asyncio.to_thread(self.collection.flush)

    async def finish(self) -> None:
        """Bring languages and BM25's average length up to date, let the store rebuild the
        indexes that are due, and commit. Cheap where nothing changed.
        """
        await asyncio.to_thread(self._finish)

    def _stored(self, sources: tuple[str, ...]) -> dict[str, Point]:
        return {point.id: point for point in self.collection.scroll(OneOf("source", sources))}

    def _points(self, document: ChunkedDocument, language: str) -> list[tuple[Point, str]]:
        hashes = [text_hash(chunk.search_text) for chunk in document.chunks]
        points = []
        ids = chunk_ids(document.source, hashes)
        for number, (chunk, name, digest) in enumerate(
            zip(document.chunks, ids, hashes, strict=True)
        ):
            metadata = {
                **document.metadata,
                **chunk.metadata,
                "source": document.source,
                "chunk": number,
                "start": chunk.span[0],
                "end": chunk.span[1],
                "sha256": digest,
                "language": language,
                "words": length_of(chunk.search_text, language),
            }
            if chunk.heading:
                metadata["heading"] = " > ".join(chunk.heading)
            points.append((Point(name, chunk.text, metadata), chunk.search_text))
        return points

    async def _embed(self, texts: Mapping[str, str]) -> dict[str, Sequence[float]]:
        """A vector per id; texts that are the same, or in the cache, are embedded once."""
        by_hash = {text_hash(text): text for text in texts.values()}
        known = dict(self.cache.get(list(by_hash))) if self.cache else {}
        missing = [digest for digest in by_hash if digest not in known]
        if missing:
            made = await self.embedder.embed_documents([by_hash[digest] for digest in missing])
            fresh = dict(zip(missing, made, strict=True))
            if self.cache:
                self.cache.put(fresh)
            known.update(fresh)
        return {name: known[text_hash(text)] for name, text in texts.items()}

    def _store(
        self,
        wanted: Mapping[str, Point],
        texts: Mapping[str, str],
        vectors: Mapping[str, Sequence[float]],
        moved: Sequence[str],
        stale: Sequence[str],
    ) -> None:
        settings = self.collection.settings
        if not settings.average_length and vectors:
            lengths = [wanted[name].metadata["words"] for name in vectors]
            settings = dataclasses.replace(
                settings, average_length=step_of(sum(lengths) / len(lengths))
            )
            self.collection.save_settings(settings)
        sparse = StoreFeature.SPARSE in self.collection.features
        points = []
        old = {p.id: p.dense for p in self.collection.fetch(moved, vectors=True)} if moved else {}
        for name in (*vectors, *moved):
            point = wanted[name]
            weights = document_vector(
                texts[name], point.metadata["language"], settings.average_length
            )
            dense = vectors[name] if name in vectors else old[name]
            points.append(
                dataclasses.replace(point, dense=dense, sparse=weights if sparse else None)
            )
        if points:
            self.collection.upsert(points)
        if stale:
            self.collection.delete(stale)

    def _finish(self) -> None:
        collection = self.collection
        lengths = {int(words): count for words, count in collection.values("words").items()}
        total = sum(lengths.values())
        average = sum(words * count for words, count in lengths.items()) / (total or 1)
        step = step_of(average) if total else START_AVERAGE
        if (
            StoreFeature.SPARSE in collection.features
            and step != collection.settings.average_length
        ):
            self._weigh_again(step)
        counted = collection.values("language")
        languages = most_frequent(
            str(language) for language, count in counted.items() for _ in range(count)
        )
        settings = dataclasses.replace(
            collection.settings, languages=languages, average_length=step
        )
        if settings != collection.settings:
            collection.save_settings(settings)
        if self.changed:
            collection.optimize()
        collection.flush()
        self.changed = 0

    def _weigh_again(self, average: float) -> None:
        """New BM25 weights for every point: the average length of the corpus has moved."""
        batch: dict[str, SparseVector] = {}
        for point in list(self.collection.scroll()):  # a store may move what it writes
            language = point.metadata.get("language", "en")
            batch[point.id] = document_vector(search_text(point), language, average)
            if len(batch) == _BATCH:
                self.collection.weigh(batch)
                batch = {}
        self.collection.weigh(batch)


def search_text(point: Point) -> str:
    """What was embedded for a stored point: its headings, then its text."""
    heading = point.metadata.get("heading")
    return f"{heading}\n{point.text}" if heading else point.text
