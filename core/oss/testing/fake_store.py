"""A store in memory that can do as little as a store may: no filters, no sparse vectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from oss.contracts.errors import UsageError
from oss.contracts.store import Collection, Hit, Point, StoreFeature, VectorStore
from oss.retrieval.filters import holds
from oss.retrieval.folders import check_name, no_such_collection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from oss.contracts.filters import Filter
    from oss.contracts.store import CollectionSettings


class FakeCollection(Collection):
    """Points in a dictionary; every search looks at all of them."""

    features: ClassVar[frozenset[StoreFeature]] = frozenset()

    def __init__(self, name: str, settings: CollectionSettings) -> None:
        self.name = name
        self.points: dict[str, Point] = {}
        self.upserts = 0
        self._settings = settings

    @property
    def settings(self) -> CollectionSettings:
        """As saved last."""
        return self._settings

    def save_settings(self, settings: CollectionSettings) -> None:
        """Replace them."""
        self._settings = settings

    def upsert(self, points: Sequence[Point]) -> None:
        """Add or replace."""
        self.upserts += len(points)
        self.points.update({point.id: point for point in points})

    def delete(self, ids: Sequence[str]) -> None:
        """Remove."""
        for name in ids:
            self.points.pop(name, None)

    def dense(self, vector: Sequence[float], k: int, where: Filter | None = None) -> list[Hit]:
        """By cosine, one by one; a filter is more than this store can do."""
        if where is not None:
            raise NotImplementedError("this store has no filters")
        hits = [Hit(p.id, _cosine(vector, p.dense or ())) for p in self.points.values()]
        return sorted(hits, key=lambda hit: -hit.score)[:k]

    def fetch(self, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:  # noqa: ARG002
        """By id, always with vectors."""
        return [self.points[name] for name in ids if name in self.points]

    def scroll(
        self,
        where: Filter | None = None,
        *,
        vectors: bool = False,  # noqa: ARG002
    ) -> Iterator[Point]:
        """All of them."""
        for point in list(self.points.values()):
            if where is None or holds(where, point.metadata):
                yield point

    def count(self, where: Filter | None = None) -> int:
        """How many."""
        return sum(1 for _ in self.scroll(where))

    def flush(self) -> None:
        """Nothing outlives the process."""

    def close(self) -> None:
        """It stays with the store."""


class FakeStore(VectorStore):
    """Collections by name, kept as long as the object is."""

    name: ClassVar[str] = "fake"
    features: ClassVar[frozenset[StoreFeature]] = frozenset()

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.collections: dict[str, FakeCollection] = {}

    def list(self) -> list[str]:
        """Sorted."""
        return sorted(self.collections)

    def exists(self, name: str) -> bool:
        """Whether it was created."""
        check_name(name)
        return name in self.collections

    def settings(self, name: str) -> CollectionSettings:
        """Of a collection."""
        return self.open(name).settings

    def create(self, name: str, settings: CollectionSettings) -> Collection:
        """A new one."""
        if self.exists(name):
            raise UsageError(f"collection '{name}' exists")
        self.collections[name] = FakeCollection(name, settings)
        return self.collections[name]

    def open(self, name: str) -> Collection:
        """What was created."""
        if not self.exists(name):
            raise no_such_collection(name, self.list())
        return self.collections[name]

    def drop(self, name: str) -> None:
        """Forget it."""
        self.open(name)
        del self.collections[name]


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return product / ((math.hypot(*a) * math.hypot(*b)) or 1.0)
