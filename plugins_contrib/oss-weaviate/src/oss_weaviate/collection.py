"""One collection of a server: written and searched over gRPC, described over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter as Native
from weaviate.classes.query import MetadataQuery

from oss.contracts.errors import StorageError
from oss.contracts.store import Collection, Hit, Point, StoreFeature
from oss.retrieval.fields import INDEXED
from oss.retrieval.filters import holds
from oss.retrieval.pushdown import Pushdown, search_deeper, typed_value
from oss_weaviate.faults import faults
from oss_weaviate.store import JSON, TEXT, description

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oss.contracts.filters import Compare, Filter
    from oss.contracts.store import CollectionSettings
    from oss_weaviate.store import WeaviateStore

_BATCH = 200
_MOST = 10_000
"""Results of one query; a server's QUERY_MAXIMUM_RESULTS unless it is set otherwise."""


def _compare(where: Compare) -> Any:
    """``!=`` is left out: what Weaviate's does where the property is missing depends on indexes."""
    named = Native.by_property(where.field)
    value = where.value if isinstance(where.value, str) else float(where.value)
    if where.operator == "=":
        return named.equal(value)
    if where.operator == "<":
        return named.less_than(value)
    if where.operator == "<=":
        return named.less_or_equal(value)
    if where.operator == ">":
        return named.greater_than(value)
    return named.greater_or_equal(value) if where.operator == ">=" else None


_PUSHDOWN: Pushdown[Any] = Pushdown(_compare, Native.all_of, Native.any_of)


class WeaviateCollection(Collection):
    """A collection; the server has written what a call wrote before the call returns."""

    features: ClassVar[frozenset[StoreFeature]] = frozenset({StoreFeature.FILTER})

    def __init__(self, store: WeaviateStore, name: str, settings: CollectionSettings) -> None:
        self.name = name
        self._store = store
        self._settings = settings
        self._closed = False
        self._found = store.connect().collections.use(store.full_name(name))

    @property
    def settings(self) -> CollectionSettings:
        """What it was made with."""
        return self._settings

    def save_settings(self, settings: CollectionSettings) -> None:
        """As the description."""
        with faults(self._store.url):
            self._found.config.update(description=description(self.name, settings))
        self._settings = settings

    def upsert(self, points: Sequence[Point]) -> None:
        """Add or replace."""
        latest = list({point.id: point for point in points}.values())
        for start in range(0, len(latest), _BATCH):
            with faults(self._store.url):
                done = self._found.data.insert_many(
                    [
                        DataObject(
                            uuid=point.id,
                            properties=_properties(point),
                            vector=list(map(float, point.dense or ())),
                        )
                        for point in latest[start : start + _BATCH]
                    ]
                )
            for error in done.errors.values():
                raise StorageError(
                    f"the Weaviate server at {self._store.url} did not take a chunk of "
                    f"'{self.name}': {error.message}"
                )

    def delete(self, ids: Sequence[str]) -> None:
        """Remove by id."""
        for start in range(0, len(ids), _BATCH):
            some = list(ids[start : start + _BATCH])
            with faults(self._store.url):
                self._found.data.delete_many(where=Native.by_id().contains_any(some))

    def dense(self, vector: Sequence[float], k: int, where: Filter | None = None) -> list[Hit]:
        """Nearest by cosine."""
        native, exact = _PUSHDOWN.translate(where)
        query = list(map(float, vector))

        def search(count: int) -> list[Hit]:
            with faults(self._store.url):
                found = self._found.query.near_vector(
                    near_vector=query,
                    limit=min(count, _MOST),
                    filters=native,
                    return_metadata=MetadataQuery(distance=True),
                    return_properties=[],
                )
            return [Hit(str(item.uuid), 1.0 - item.metadata.distance) for item in found.objects]

        if where is None or exact:
            return search(k)
        return search_deeper(search, self.fetch, where, k)

    def fetch(self, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        """Points by id."""
        found: dict[str, Point] = {}
        for start in range(0, len(ids), _BATCH):
            some = list(dict.fromkeys(ids[start : start + _BATCH]))
            chosen = Native.by_id().contains_any(some)
            found.update((p.id, p) for p in self._objects(chosen, len(some), vectors))
        return [found[name] for name in ids if name in found]

    def scroll(self, where: Filter | None = None, *, vectors: bool = False) -> Iterator[Point]:
        """All points. A server goes through everything with a cursor, which takes no filter, so a
        filter that few pass is asked for at once.
        """
        native, exact = _PUSHDOWN.translate(where)
        if native is not None and (count := self._count(native)) <= _MOST:
            points = self._objects(native, count, vectors) if count else iter(())
        else:
            points, exact = self._all(vectors), False
        for point in points:
            if where is None or exact or holds(where, point.metadata):
                yield point

    def _objects(self, native: Any, limit: int, vectors: bool) -> Iterator[Point]:
        with faults(self._store.url):
            found = self._found.query.fetch_objects(
                filters=native, limit=limit, include_vector=vectors, return_properties=[TEXT, JSON]
            )
        yield from map(_point, found.objects)

    def _all(self, vectors: bool) -> Iterator[Point]:
        with faults(self._store.url):
            for item in self._found.iterator(
                include_vector=vectors, return_properties=[TEXT, JSON], cache_size=_BATCH
            ):
                yield _point(item)

    def count(self, where: Filter | None = None) -> int:
        """Exactly how many."""
        native, exact = _PUSHDOWN.translate(where)
        if where is not None and not exact:
            return sum(1 for _ in self.scroll(where))
        return self._count(native)

    def _count(self, native: Any) -> int:
        with faults(self._store.url):
            found = self._found.aggregate.over_all(filters=native, total_count=True)
        return found.total_count or 0

    def flush(self) -> None:
        """Nothing to do: each write waited for the server."""

    def close(self) -> None:
        """The connection goes with the last who uses it."""
        if not self._closed:
            self._closed = True
            self._store.release()


def _properties(point: Point) -> dict[str, Any]:
    fields = {field: typed_value(point.metadata, field) for field in INDEXED}
    return {
        TEXT: point.text,
        JSON: msgspec.json.encode(dict(point.metadata)).decode(),
        **{
            field: value if isinstance(value, str) else float(value)
            for field, value in fields.items()
            if value is not None
        },
    }


def _point(item: Any) -> Point:
    vector = item.vector.get("default") if item.vector else None
    metadata = msgspec.json.decode(item.properties[JSON])
    return Point(str(item.uuid), item.properties[TEXT] or "", metadata, vector)
