"""A store that keeps no sparse vectors, with them: an index beside it, so that search by words and
hybrid search give what they give in a store that has both.

The index can be made again from the points at any time. The collection's settings carry a version:
it changes before the first write after a flush (to one that says so), and with the flush; the
index notes the version that it was committed with. Where they differ when a collection is opened
(a process was killed in between, another machine wrote to the same server), the index is compared
with the points, and what differs is made again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import uuid
from typing import TYPE_CHECKING, ClassVar

from oss.contracts.store import (
    Collection,
    CollectionSettings,
    Hit,
    Point,
    SparseVector,
    StoreFeature,
    VectorStore,
)
from oss.retrieval.folders import check_name
from oss.retrieval.ids import text_hash
from oss.retrieval.pushdown import search_deeper
from oss.retrieval.sparse import document_vector
from oss.retrieval.sparse_index import Entry, SparseIndex, remove_index
from oss.retrieval.writing import search_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from oss.contracts.filters import Filter

FOLDER = ".words"
_WRITING = "writing "
_BATCH = 500
_NOTHING = SparseVector((), ())


def complete_store(store: VectorStore, folder: Path) -> VectorStore:
    """The store itself where it keeps sparse vectors, else one that keeps them beside it.

    :param folder: where the collections of this machine lie; the indexes go into :data:`FOLDER`
        there, also those of collections on a server.
    """
    if StoreFeature.SPARSE in store.features:
        return store
    place = hashlib.sha256(f"{store.name}\0{store.address}".encode()).hexdigest()[:16]
    return CompletedStore(store, folder / FOLDER / place)


class CompletedStore(VectorStore):
    """A store whose collections do all that one may ask of them."""

    features: ClassVar[frozenset[StoreFeature]] = frozenset(StoreFeature)

    def __init__(self, inner: VectorStore, folder: Path) -> None:
        self.inner = inner
        self.name = inner.name  # type: ignore[misc]  # this one is as many as there are stores
        self.address = inner.address
        self._folder = folder

    def list(self) -> Iterable[str]:
        """The names, sorted."""
        return self.inner.list()

    def exists(self, name: str) -> bool:
        """Whether there is such a collection."""
        return self.inner.exists(name)

    def settings(self, name: str) -> CollectionSettings:
        """What it was made with."""
        return dataclasses.replace(self.inner.settings(name), version="")

    def create(self, name: str, settings: CollectionSettings) -> Collection:
        """Make and open, with an index that is empty."""
        inner = self.inner.create(name, settings)
        return self._with_index(inner, new=True)

    def open(self, name: str) -> Collection:
        """Open both, and bring the index up to date where it is not."""
        return self._with_index(self.inner.open(name), new=False)

    def drop(self, name: str) -> None:
        """Delete both."""
        self.inner.drop(name)
        remove_index(self._file(name))

    def _file(self, name: str) -> Path:
        check_name(name)
        return self._folder / f"{name}.sqlite"

    def _with_index(self, inner: Collection, *, new: bool) -> Collection:
        try:
            file = self._file(inner.name)
            if new:
                remove_index(file)
            index = SparseIndex(file)
            try:
                return CompletedCollection(inner, index)
            except BaseException:
                index.close()
                raise
        except BaseException:
            inner.close()
            raise


class CompletedCollection(Collection):
    """An open collection and its index of words."""

    features: ClassVar[frozenset[StoreFeature]] = frozenset(StoreFeature)

    def __init__(self, inner: Collection, index: SparseIndex) -> None:
        self.name = inner.name
        self.inner = inner
        self._index = index
        self._changed = False
        if not self._in_step():
            self._catch_up()

    @property
    def settings(self) -> CollectionSettings:
        """What it was made with."""
        return dataclasses.replace(self.inner.settings, version="")

    def save_settings(self, settings: CollectionSettings) -> None:
        """Replace them."""
        version = self.inner.settings.version
        self.inner.save_settings(dataclasses.replace(settings, version=version))

    def upsert(self, points: Sequence[Point]) -> None:
        """Add or replace, in both."""
        self._begin()
        self.inner.upsert([dataclasses.replace(point, sparse=None) for point in points])
        self._index.put(Entry(p.id, _stamp(p), p.sparse or _NOTHING) for p in points)

    def weigh(self, weights: Mapping[str, SparseVector]) -> None:
        """In the index alone."""
        self._begin()
        self._index.reweigh(weights)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove from both."""
        if ids:
            self._begin()
            self.inner.delete(ids)
            self._index.delete(ids)

    def dense(self, vector: Sequence[float], k: int, where: Filter | None = None) -> list[Hit]:
        """Nearest by cosine."""
        if where is None or StoreFeature.FILTER in self.inner.features:
            return self.inner.dense(vector, k, where)
        return search_deeper(lambda n: self.inner.dense(vector, n), self.inner.fetch, where, k)

    def sparse(self, vector: SparseVector, k: int, where: Filter | None = None) -> list[Hit]:
        """Best by BM25."""
        if where is None:
            return self._index.search(vector, k)
        return search_deeper(lambda n: self._index.search(vector, n), self.inner.fetch, where, k)

    def fetch(self, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        """Points by id."""
        points = self.inner.fetch(ids, vectors=vectors)
        return self._with_words(points) if vectors else points

    def scroll(self, where: Filter | None = None, *, vectors: bool = False) -> Iterator[Point]:
        """All points."""
        if not vectors:
            yield from self.inner.scroll(where)
            return
        batch: list[Point] = []
        for point in self.inner.scroll(where, vectors=True):
            batch.append(point)
            if len(batch) == _BATCH:
                yield from self._with_words(batch)
                batch = []
        yield from self._with_words(batch)

    def count(self, where: Filter | None = None) -> int:
        """How many."""
        return self.inner.count(where)

    def values(self, field: str) -> dict[str | int | bool, int]:
        """The distinct values of a field."""
        return self.inner.values(field)

    def flush(self) -> None:
        """The store, then the index, then the version that both are of."""
        self.inner.flush()
        if self._changed:
            self._commit(uuid.uuid4().hex)
            self._changed = False

    def optimize(self) -> None:
        """Both."""
        self._begin()
        self.inner.optimize()
        self._index.merge()
        self.flush()

    def close(self) -> None:
        """Flush, and let others open it."""
        try:
            self.flush()
        finally:
            self._index.close()
            self.inner.close()

    def _begin(self) -> None:
        """Say in the settings that the index may be behind from now on."""
        if not self._changed:
            self._set_version(_WRITING + uuid.uuid4().hex)
            self._changed = True

    def _commit(self, version: str) -> None:
        average = self.inner.settings.average_length
        self._index.commit({"version": version, "average": str(average)})
        self._set_version(version)

    def _set_version(self, version: str) -> None:
        self.inner.save_settings(dataclasses.replace(self.inner.settings, version=version))

    def _in_step(self) -> bool:
        version = self.inner.settings.version
        noted = self._index.note("version") or ""
        if version != noted or version.startswith(_WRITING):
            return False
        return len(self._index) == self.inner.count()

    def _catch_up(self) -> None:
        """Make anew what the index has otherwise than the points say."""
        average = self.inner.settings.average_length
        same = self._index.note("average") == str(average)
        known = self._index.stamps() if same else {}
        there: set[str] = set()
        batch: list[Entry] = []
        for point in self.inner.scroll():
            there.add(point.id)
            stamp = _stamp(point)
            if known.get(point.id) != stamp:
                language = str(point.metadata.get("language", "en"))
                vector = document_vector(search_text(point), language, average)
                batch.append(Entry(point.id, stamp, vector))
            if len(batch) == _BATCH:
                self._index.put(batch)
                batch = []
        self._index.put(batch)
        self._index.delete([name for name in self._index.stamps() if name not in there])
        self._index.merge()
        version = self.inner.settings.version
        self._commit(uuid.uuid4().hex if version.startswith(_WRITING) else version)

    def _with_words(self, points: Sequence[Point]) -> list[Point]:
        known = self._index.vectors([point.id for point in points])
        return [dataclasses.replace(point, sparse=known.get(point.id)) for point in points]


def _stamp(point: Point) -> str:
    """Which text, in which language, the words of a point are of."""
    digest = point.metadata.get("sha256") or text_hash(search_text(point))
    return f"{digest} {point.metadata.get('language', '')}"
