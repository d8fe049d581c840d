"""Search over any store: dense and BM25, fused, and what a retriever does with the result.

Nothing here knows which store or embedder it works with.
"""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

from oss.contracts.errors import UsageError
from oss.contracts.retriever import Embedder, IndexReport, Passage, Reranker, Retriever
from oss.contracts.store import Hit, StoreFeature
from oss.retrieval.diversity import mmr
from oss.retrieval.fusion import DENSE_WEIGHT, SPARSE_WEIGHT, dbsf, rrf
from oss.retrieval.matching import check_embedder
from oss.retrieval.neighbours import merge_adjacent, widen
from oss.retrieval.pushdown import search_deeper
from oss.retrieval.sparse import query_vector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from oss.contracts.filters import Filter
    from oss.contracts.retriever import Document
    from oss.contracts.store import (
        Collection,
        CollectionSettings,
        Point,
        SparseVector,
        VectorStore,
    )

DIGITS = 5
"""What differs behind this decimal is equally near: stores add in different orders."""

Answer = TypeVar("Answer")
Mode = Literal["hybrid", "dense", "bm25"]
FusionName = Literal["rrf", "dbsf"]


@dataclass(frozen=True)
class SearchOptions:
    """How to search.

    :param candidates: how many each search gives to the fusion.
    :param diversity: 0 is by score alone, towards 1 passages differ more (MMR).
    :param neighbours: chunks before and after each hit that are added to it. Hits that touch are
        merged in any case.
    :param merge: whether they are; off to see single chunks.
    """

    mode: Mode = "hybrid"
    fusion: FusionName = "rrf"
    candidates: int = 50
    diversity: float = 0.0
    neighbours: int = 0
    merge: bool = True


@dataclass(frozen=True)
class Found:
    """A point of a collection, with its score."""

    collection: str
    point: Point
    score: float


class StoreRetriever(Retriever):
    """Collections of a store as one retriever.

    :param embedder_for: makes the embedder that a collection was made with; asked once for each
        fingerprint.
    :param keep_open: hold the collections between searches, which is faster, and keeps other
        processes out.
    """

    def __init__(
        self,
        store: VectorStore,
        collections: Sequence[str],
        embedder_for: Callable[[CollectionSettings], Embedder],
        options: SearchOptions | None = None,
        *,
        reranker_for: Callable[[Embedder], Reranker] | None = None,
        keep_open: bool = False,
    ) -> None:
        self.store = store
        self.collections = tuple(collections)
        self.options = options or SearchOptions()
        self._embedder_for = embedder_for
        self._reranker_for = reranker_for
        self._embedders: dict[str, Embedder] = {}
        self._keep_open = keep_open
        self._held = ExitStack()
        self._open: dict[str, Collection] = {}
        self._turn = asyncio.Lock()

    async def index(self, documents: Iterable[Document]) -> IndexReport:
        """Into the first collection, cut as plain text with Markdown headings."""
        from oss.retrieval.chunking import blocks_of, pack
        from oss.retrieval.writing import ChunkedDocument, CollectionWriter

        name = self._names()[0]
        settings = await asyncio.to_thread(self.store.settings, name)
        embedder = self.embedder(name, settings)
        chunked = [
            ChunkedDocument(document.id, pack(blocks_of(document.text)), document.metadata)
            for document in documents
        ]
        async with self._turn:
            self._release()
            collection = await asyncio.to_thread(self.store.open, name)
            try:
                writer = CollectionWriter(collection, embedder)
                written = await writer.write(chunked)
                await writer.finish()
            finally:
                await asyncio.to_thread(collection.close)
        return IndexReport(
            added=sum(w.embedded > 0 for w in written),
            unchanged=sum(not w.embedded and not w.removed for w in written),
            embedded_chunks=sum(w.embedded for w in written),
        )

    async def search(self, query: str, k: int = 5, where: Filter | None = None) -> list[Passage]:
        """The best passages of all collections."""
        found = await self.find(query, k, where)
        several = len(self.collections) > 1
        return [_passage(item, several) for item in found]

    async def count(self) -> int:
        """Chunks in all collections."""
        async with self._turn:
            return await asyncio.to_thread(self._with_open, self._count)

    async def close(self) -> None:
        """Close what is held open, free the embedders."""
        self._release()
        for embedder in self._embedders.values():
            await embedder.close()

    def embedder(self, name: str, settings: CollectionSettings) -> Embedder:
        """The embedder of a collection.

        :raises UsageError: what is installed makes other vectors than those of the collection.
        """
        known = self._embedders.get(settings.fingerprint)
        if known is None:
            known = self._embedder_for(settings)
            check_embedder(name, settings, known)
            self._embedders[settings.fingerprint] = known
        return known

    async def find(self, query: str, k: int, where: Filter | None = None) -> list[Found]:
        """As :meth:`search`, with the points as they are stored."""
        if not query.strip() or k < 1:
            return []
        settings = {
            name: await asyncio.to_thread(self.store.settings, name) for name in self._names()
        }
        embedders = {
            made.fingerprint: self.embedder(name, made)
            for name, made in settings.items()
            if self.options.mode != "bm25"
        }

        def search(
            vectors: Mapping[str, Sequence[float]], collections: Mapping[str, Collection]
        ) -> list[Found]:
            ask = _Question(query, k, where, vectors, settings, self.options)
            return ask.candidates(collections) if self._reranker_for else ask.answer(collections)

        # Others are locked out of what is open: only what takes milliseconds happens meanwhile.
        vectors = {name: await made.embed_query(query) for name, made in embedders.items()}
        async with self._turn:
            found = await asyncio.to_thread(self._with_open, partial(search, vectors))
        if self._reranker_for is None:
            return found
        found = await self._rerank(query, found, next(iter(settings.items())))
        ask = _Question(query, k, where, {}, settings, self.options)
        async with self._turn:
            return await asyncio.to_thread(
                self._with_open, lambda collections: ask.finish(collections, found)
            )

    async def _rerank(
        self, query: str, found: list[Found], first: tuple[str, CollectionSettings]
    ) -> list[Found]:
        assert self._reranker_for is not None  # noqa: S101  the caller looked
        reranker = self._reranker_for(self.embedder(*first))
        scores = await reranker.score(query, [_passage(item, False) for item in found])
        scored = [
            dataclasses.replace(item, score=score)
            for item, score in zip(found, scores, strict=True)
        ]
        return sorted(scored, key=lambda item: -item.score)

    def _names(self) -> tuple[str, ...]:
        if not self.collections:
            raise UsageError(
                "no collection to search in",
                hint="name one in the profile: [retriever] collections = ['NAME']",
            )
        return self.collections

    def _with_open(self, work: Callable[[Mapping[str, Collection]], Answer]) -> Answer:
        if not self._keep_open:
            with ExitStack() as stack:
                return work({n: stack.enter_context(self.store.open(n)) for n in self._names()})
        for name in self._names():
            if name not in self._open:
                self._open[name] = self._held.enter_context(self.store.open(name))
        return work(self._open)

    def _release(self) -> None:
        self._open = {}
        self._held.close()

    @staticmethod
    def _count(collections: Mapping[str, Collection]) -> int:
        return sum(collection.count() for collection in collections.values())


@dataclass(frozen=True)
class _Question:
    """One search over open collections; blocking."""

    query: str
    k: int
    where: Filter | None
    vectors: Mapping[str, Sequence[float]]
    settings: Mapping[str, CollectionSettings]
    options: SearchOptions

    def answer(self, collections: Mapping[str, Collection]) -> list[Found]:
        """Search, fuse, and finish."""
        return self.finish(collections, self.candidates(collections))

    def candidates(self, collections: Mapping[str, Collection]) -> list[Found]:
        """The fused ranking, best first, as far as it can matter."""
        few = self.options.diversity == 0 and not self.options.merge
        depth = max(self.options.candidates, self.k)
        ranked = self._fused(collections, depth)[: self.k if few else depth]
        points: dict[str, Point] = {}
        for name, collection in collections.items():
            ids = [key[1] for key, _ in ranked if key[0] == name]
            if ids:
                points.update({p.id: p for p in collection.fetch(ids)})
        return [Found(key[0], points[key[1]], score) for key, score in ranked if key[1] in points]

    def finish(self, collections: Mapping[str, Collection], found: list[Found]) -> list[Found]:
        """Diversity, then neighbours, then the best ``k``."""
        if self.options.diversity > 0 and len(found) > 1:
            found = self._diverse(collections, found)
        found = found[: self.k]
        if self.options.neighbours:
            found = widen(found, collections, self.options.neighbours)
        return merge_adjacent(found) if self.options.merge else found

    def _diverse(self, collections: Mapping[str, Collection], found: list[Found]) -> list[Found]:
        vectors: dict[str, Sequence[float]] = {}
        for name, collection in collections.items():
            ids = [item.point.id for item in found if item.collection == name]
            vectors.update({p.id: p.dense or () for p in collection.fetch(ids, vectors=True)})
        dimension = max(map(len, vectors.values()))
        same = [item for item in found if len(vectors[item.point.id]) == dimension]
        order = mmr(
            [item.score for item in same],
            [vectors[item.point.id] for item in same],
            self.k,
            self.options.diversity,
        )
        return [same[position] for position in order]

    def _fused(
        self, collections: Mapping[str, Collection], depth: int
    ) -> list[tuple[tuple[str, str], float]]:
        """Keys (collection, id) with scores. Dense hits of all collections with one embedder are
        one ranking, BM25 hits of all collections another. What is equally near keeps one order,
        whatever store it comes from.
        """
        rankings: dict[str, list[Hit]] = {}
        for number, (name, collection) in enumerate(collections.items()):
            settings = self.settings[name]
            if self.options.mode != "bm25":
                vector = self.vectors[settings.fingerprint]
                hits = _search_dense(collection, vector, depth, self.where)
                rankings.setdefault(settings.fingerprint, []).extend(_keyed(hits, number))
            if self.options.mode != "dense" and StoreFeature.SPARSE in collection.features:
                words = query_vector(self.query, settings.languages)
                hits = _search_words(collection, words, depth, self.where)
                rankings.setdefault("", []).extend(_keyed(hits, number))
        ordered = {
            name: sorted(hits, key=lambda hit: (-round(hit.score, DIGITS), hit.id))[:depth]
            for name, hits in rankings.items()
        }
        if len(ordered) == 1:
            (only,) = ordered.values()
            fused = [(hit.id, hit.score) for hit in only]
        elif self.options.fusion == "dbsf":
            fused = dbsf(list(ordered.values()))
        else:
            weights = [DENSE_WEIGHT if name else SPARSE_WEIGHT for name in ordered]
            fused = rrf(list(ordered.values()), weights)
        names = list(collections)
        return [
            ((names[int(key.partition(":")[0])], key.partition(":")[2]), score)
            for key, score in fused
        ]


def _keyed(hits: Iterable[Hit], number: int) -> list[Hit]:
    return [Hit(f"{number}:{hit.id}", hit.score) for hit in hits]


def _search_dense(
    collection: Collection, vector: Sequence[float], depth: int, where: Filter | None
) -> list[Hit]:
    if where is None or StoreFeature.FILTER in collection.features:
        return collection.dense(vector, depth, where)
    return _filtered(collection, lambda n: collection.dense(vector, n), depth, where)


def _search_words(
    collection: Collection, words: SparseVector, depth: int, where: Filter | None
) -> list[Hit]:
    if where is None or StoreFeature.FILTER in collection.features:
        return collection.sparse(words, depth, where)
    return _filtered(collection, lambda n: collection.sparse(words, n), depth, where)


def _filtered(
    collection: Collection, search: Callable[[int], list[Hit]], depth: int, where: Filter
) -> list[Hit]:
    """For stores that cannot filter."""
    return search_deeper(search, collection.fetch, where, depth)


def _passage(found: Found, several: bool) -> Passage:
    metadata = dict(found.point.metadata)
    if several:
        metadata["collection"] = found.collection
    return Passage(
        found.point.text,
        str(metadata.get("source", "")),
        (int(metadata.get("start", 0)), int(metadata.get("end", 0))),
        found.score,
        metadata,
    )
