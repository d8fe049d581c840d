"""Qdrant's own engine in this process: a shard in a folder, written ahead to a log."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import qdrant_edge as edge

from oss.contracts.errors import StorageError
from oss.contracts.filters import Compare
from oss.contracts.store import Hit, Point, SparseVector, StoreFeature
from oss.retrieval.fields import INDEXED
from oss.retrieval.filters import holds
from oss.retrieval.folder_store import FolderCollection
from oss_plugins.qdrant import fields
from oss_plugins.qdrant.conditions import Words, translate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from oss.contracts.filters import Filter
    from oss.contracts.store import CollectionSettings
    from oss.retrieval.folders import CollectionFolder

_BATCH = 512
_VALUES = 1_000_000
_GRAPH = edge.HnswIndexConfig(m=16, ef_construct=64, full_scan_threshold=10_000)
_KEYWORD = edge.KeywordIndexParams(memory=edge.Memory.Cold)
_RANGE = edge.IntegerIndexParams(
    lookup=False, range=True, enable_hnsw=False, memory=edge.Memory.Cold
)
_COUNT = edge.IntegerIndexParams(
    lookup=True, range=False, enable_hnsw=False, memory=edge.Memory.Cold
)
_INDEXES = {
    **{name: _KEYWORD if kind == "keyword" else _RANGE for name, kind in INDEXED.items()},
    "words": _COUNT,
}
"""Numbers are compared, or counted; not both, and no graph of their own is built for them: every
index is filled with every point, and takes a twentieth of the time that filling takes.
"""
_LOG = {"segment_capacity": 4 * 2**20, "segment_queue_len": 0, "retain_closed": 1}
"""The log in files of 4 MB in place of 32, of which three are kept, and mapped into memory."""
_COUNTED = frozenset(name for name, index in _INDEXES.items() if index is not _RANGE)
_EXPLORED = 512
"""Points looked at in the graph for a search. A graph that is built with less care (the engine's
own is 100) takes a third less time, and searched with more (again 100) it finds 99 of 100 of the
nearest instead of 95, still within a millisecond.
"""


@contextmanager
def _shard_errors(name: str) -> Iterator[None]:
    """The engine raises bare exceptions with a text."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:
            raise
        text = str(error)
        if "No space left" in text:
            raise StorageError(
                f"the disk is full: collection '{name}' cannot be written",
                hint="make room; what was flushed before is kept",
            ) from error
        raise StorageError(
            f"collection '{name}': {text}",
            hint="bring back a backup, or make it anew: oss docs rm, then oss docs add",
        ) from error


class EmbeddedCollection(FolderCollection):
    """A shard that this process holds. The write-ahead log is on: with it a killed process
    loses nothing that was flushed, without it everything.
    """

    features: ClassVar[frozenset[StoreFeature]] = frozenset(StoreFeature)

    def __init__(
        self, folder: CollectionFolder, settings: CollectionSettings, shard: edge.EdgeShard
    ) -> None:
        super().__init__(folder, settings)
        self._shard: edge.EdgeShard | None = shard
        self._changed = False
        self._words = Words(
            group=edge.Filter,
            equals=self._equals,
            one_of=lambda key, values: edge.FieldCondition(key, match=edge.MatchAny(values)),
            between=lambda key, **bounds: edge.FieldCondition(
                key, range=edge.RangeFloat(**{name: float(v) for name, v in bounds.items()})
            ),
            nothing=lambda: edge.HasIdCondition(set()),
            values=self.values,
        )

    def _equals(self, key: str, value: str | int | bool) -> Any:
        if not isinstance(value, bool):
            return edge.FieldCondition(key, match=edge.MatchValue(value))
        # qdrant-edge 0.9 takes a bool for the integer that it is in Python, and finds nothing.
        where = Compare(key.removeprefix(fields.key_of("")), "=", value)
        return edge.HasIdCondition({p.id for p in self.scroll() if holds(where, p.metadata)})

    @classmethod
    def create(cls, folder: CollectionFolder, settings: CollectionSettings) -> EmbeddedCollection:
        """Make the shard and its indexes in a locked folder; the settings file comes last."""
        path = folder.path / "shard"
        if path.exists():  # left by a process that was killed while it made the collection
            shutil.rmtree(path)
        path.mkdir()
        config = edge.EdgeConfig(
            vectors=edge.EdgeVectorParams(
                size=settings.dimension, distance=edge.Distance.Cosine, hnsw_config=_GRAPH
            ),
            sparse_vectors={
                fields.SPARSE: edge.EdgeSparseVectorParams(
                    modifier=edge.Modifier.Idf, memory=edge.Memory.Cold
                )
            },
            wal_enabled=True,
        )
        with _shard_errors(folder.name):
            edge.EdgeShard.create(str(path), config).close()
            # What its constructor has no parameter for is read from the file that it keeps.
            file = path / "edge_config.json"
            kept = msgspec.json.decode(file.read_bytes())
            file.write_bytes(msgspec.json.encode({**kept, "wal_options": _LOG}))
            shutil.rmtree(path / "wal")
            shard = edge.EdgeShard.load(str(path))
            for name, index in _INDEXES.items():
                key = fields.key_of(name)
                shard.update(edge.UpdateOperation.create_field_index(key, index))
            shard.flush()
        folder.write_settings(settings)
        return cls(folder, settings, shard)

    @classmethod
    def open(cls, folder: CollectionFolder) -> EmbeddedCollection:
        """Open the shard of a locked folder."""
        settings = folder.read_settings()
        with _shard_errors(folder.name):
            shard = edge.EdgeShard.load(str(folder.path / "shard"))
        return cls(folder, settings, shard)

    @property
    def _open(self) -> edge.EdgeShard:
        if self._shard is None:
            raise ValueError(f"collection '{self.name}' is closed")
        return self._shard

    def upsert(self, points: Sequence[Point]) -> None:
        """Add or replace."""
        for start in range(0, len(points), _BATCH):
            batch = [_edge_point(point) for point in points[start : start + _BATCH]]
            with _shard_errors(self.name):
                self._update(edge.UpdateOperation.upsert_points(batch))

    def weigh(self, weights: Mapping[str, SparseVector]) -> None:
        """The sparse vectors alone."""
        there = {point.id for point in self.fetch(list(weights))}
        vectors = [
            edge.PointVectors(
                name,
                {fields.SPARSE: edge.SparseVector(list(vector.indices), list(vector.values))},
            )
            for name, vector in weights.items()
            if name in there
        ]
        for start in range(0, len(vectors), _BATCH):
            some = vectors[start : start + _BATCH]
            with _shard_errors(self.name):
                self._update(edge.UpdateOperation.update_vectors(some))

    def delete(self, ids: Sequence[str]) -> None:
        """Remove by id."""
        if ids:
            with _shard_errors(self.name):
                self._update(edge.UpdateOperation.delete_points(list(ids)))

    def _update(self, operation: edge.UpdateOperation) -> None:
        self._changed = True
        self._open.update(operation)

    def dense(self, vector: Sequence[float], k: int, where: Filter | None = None) -> list[Hit]:
        """Nearest by cosine."""
        explored = edge.SearchParams(hnsw_ef=max(_EXPLORED, k))
        return self._query(edge.Query.Nearest(list(vector)), k, where, explored)

    def sparse(self, vector: SparseVector, k: int, where: Filter | None = None) -> list[Hit]:
        """Best by BM25."""
        if not vector.indices:
            return []
        query = edge.SparseVector(list(vector.indices), list(vector.values))
        return self._query(edge.Query.Nearest(query, fields.SPARSE), k, where)

    def _query(
        self,
        query: edge.Query,
        k: int,
        where: Filter | None,
        params: edge.SearchParams | None = None,
    ) -> list[Hit]:
        condition = translate(where, self._words) if where else None
        request = edge.QueryRequest(limit=k, query=query, filter=condition, params=params)
        with _shard_errors(self.name):
            return [Hit(str(found.id), found.score) for found in self._open.query(request)]

    def fetch(self, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        """Points by id."""
        with _shard_errors(self.name):
            records = self._open.retrieve(list(ids), with_payload=True, with_vector=vectors)
        found = {str(record.id): _point(record) for record in records}
        return [found[name] for name in ids if name in found]

    def scroll(self, where: Filter | None = None, *, vectors: bool = False) -> Iterator[Point]:
        """All points, a batch at a time."""
        condition = translate(where, self._words) if where else None
        offset = None
        while True:
            request = edge.ScrollRequest(
                offset=offset,
                limit=_BATCH,
                filter=condition,
                with_payload=True,
                with_vector=vectors,
            )
            with _shard_errors(self.name):
                records, offset = self._open.scroll(request)
            yield from map(_point, records)
            if offset is None:
                return

    def count(self, where: Filter | None = None) -> int:
        """Exactly how many."""
        condition = translate(where, self._words) if where else None
        with _shard_errors(self.name):
            return self._open.count(edge.CountRequest(exact=True, filter=condition))

    def values(self, field: str) -> dict[str | int | bool, int]:
        """From the index where there is one, else by looking at every point."""
        if field not in _COUNTED:
            return super().values(field)
        request = edge.FacetRequest(key=fields.key_of(field), limit=_VALUES, exact=True)
        with _shard_errors(self.name):
            return {hit.value: hit.count for hit in self._open.facet(request).hits}

    def flush(self) -> None:
        """To the disk."""
        with _shard_errors(self.name):
            self._open.flush()
        self._changed = False

    def optimize(self) -> None:
        """Build what indexes are due; the engine does so only when asked."""
        with _shard_errors(self.name):
            self._open.optimize()
        self.flush()

    def close(self) -> None:
        """Flush what was written, and let others open it."""
        if self._shard is not None:
            try:
                with _shard_errors(self.name):
                    if self._changed:
                        self._shard.flush()
                    self._shard.close()
            finally:
                self._shard = None
                self._folder.unlock()


def _edge_point(point: Point) -> edge.Point:
    dense = point.dense or ()
    vectors: dict[str, Any] = {"": dense if isinstance(dense, list) else list(dense)}
    if sparse := point.sparse:
        vectors[fields.SPARSE] = edge.SparseVector(list(sparse.indices), list(sparse.values))
    return edge.Point(point.id, vectors, fields.payload_of(point))


def _point(record: Any) -> Point:
    payload = record.payload or {}
    vector = record.vector or {}
    sparse = vector.get(fields.SPARSE)
    return Point(
        str(record.id),
        payload.get(fields.TEXT, ""),
        payload.get(fields.METADATA) or {},
        vector.get(""),
        SparseVector(tuple(sparse.indices), tuple(sparse.values)) if sparse else None,
    )
