"""One collection: SQLite has the points, FAISS an index over them that can be made again."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import faiss
import msgspec
import numpy as np

from oss.contracts.errors import StorageError
from oss.contracts.store import Hit, Point, StoreFeature
from oss.files import storage_errors
from oss.retrieval.filters import holds
from oss.retrieval.folder_store import FolderCollection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oss.contracts.filters import Filter
    from oss.contracts.store import CollectionSettings
    from oss.retrieval.folders import CollectionFolder

_SCHEMA = """
CREATE TABLE IF NOT EXISTS points (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE NOT NULL,
    text TEXT NOT NULL,
    metadata TEXT NOT NULL,
    vector BLOB NOT NULL
);
"""
_LINKS = 16
_EXPLORED = 128
_BATCH = 500
_FEW = 5000
"""Up to this many points that a filter lets through are compared one by one."""


class FaissCollection(FolderCollection):
    """An open collection. A point that is replaced gets a new number, so an index file never
    holds an old vector under a number that is in use.
    """

    features: ClassVar[frozenset[StoreFeature]] = frozenset({StoreFeature.FILTER})

    def __init__(self, folder: CollectionFolder, settings: CollectionSettings, kind: str) -> None:
        super().__init__(folder, settings)
        self._kind = kind
        self._file = folder.path / f"{kind}.faiss"
        self._dirty = False
        self._alive: Any = None
        with self._faults():
            self._db: sqlite3.Connection | None = sqlite3.connect(
                folder.path / "points.sqlite", isolation_level=None, check_same_thread=False
            )
            self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
            self._db.executescript(_SCHEMA)
            self._db.execute("BEGIN")
        self._index = self._load()
        self._catch_up()

    @staticmethod
    def remove_files(folder: CollectionFolder) -> None:
        """Remove what a collection keeps beside its settings."""
        for path in (*folder.path.glob("points.sqlite*"), *folder.path.glob("*.faiss")):
            path.unlink()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(
                f"collection '{self.name}': {error}", hint="make room, or bring back a backup"
            ) from error

    @property
    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            raise ValueError(f"collection '{self.name}' is closed")
        return self._db

    def upsert(self, points: Sequence[Point]) -> None:
        """Add or replace."""
        latest = {point.id: point for point in points}
        self.delete(list(latest))
        vectors: Any = np.zeros((len(latest), self._settings.dimension), np.float32)
        numbers: Any = np.zeros(len(latest), np.int64)
        with self._faults():
            for row, point in enumerate(latest.values()):
                vector = np.asarray(point.dense, np.float32)
                vectors[row] = vector / (np.linalg.norm(vector) or 1.0)
                numbers[row] = self._open.execute(
                    "INSERT INTO points (id, text, metadata, vector) VALUES (?, ?, ?, ?)",
                    (
                        point.id,
                        point.text,
                        msgspec.json.encode(dict(point.metadata)).decode(),
                        vectors[row].tobytes(),
                    ),
                ).lastrowid
        if len(numbers):
            self._index.add_with_ids(vectors, numbers)
            self._dirty = True
            self._alive = None

    def delete(self, ids: Sequence[str]) -> None:
        """Remove by id."""
        numbers = [number for number, *_ in self._rows(ids, "number")]
        with self._faults():
            self._open.executemany("DELETE FROM points WHERE number = ?", ((n,) for n in numbers))
        if numbers:
            self._drop(numbers)

    def dense(self, vector: Sequence[float], k: int, where: Filter | None = None) -> list[Hit]:
        """Nearest by cosine."""
        query = np.asarray([vector], np.float32)
        query /= np.linalg.norm(query) or 1.0
        if where is not None:
            allowed = [number for number, _ in self._matching(where)]
            if self._kind == "flat" or len(allowed) > _FEW:
                return self._search(query, k, np.asarray(allowed, np.int64))
            return self._compare(query[0], k, allowed)
        return self._search(query, k, None)

    def fetch(self, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        """Points by id."""
        rows = self._rows(ids, "id, text, metadata, vector")
        found = {row[0]: _point(*row, vectors=vectors) for row in rows}
        return [found[name] for name in ids if name in found]

    def scroll(self, where: Filter | None = None, *, vectors: bool = False) -> Iterator[Point]:
        """All points, a batch at a time."""
        last = 0
        while True:
            with self._faults():
                rows = self._open.execute(
                    "SELECT number, id, text, metadata, vector FROM points WHERE number > ? "
                    "ORDER BY number LIMIT ?",
                    (last, _BATCH),
                ).fetchall()
            for number, *row in rows:
                point = _point(*row, vectors=vectors)
                if where is None or holds(where, point.metadata):
                    yield point
                last = number
            if not rows:
                return

    def count(self, where: Filter | None = None) -> int:
        """Exactly how many."""
        if where is not None:
            return sum(1 for _ in self._matching(where))
        with self._faults():
            found: int = self._open.execute("SELECT count(*) FROM points").fetchone()[0]
        return found

    def flush(self) -> None:
        """Commit, then save the index: aside, to the disk, renamed."""
        with self._faults():
            self._open.execute("COMMIT")
            self._open.execute("BEGIN")
        if not self._dirty:
            return
        aside = self._file.with_name(self._file.name + ".new")
        with storage_errors(self._file):
            data = faiss.serialize_index(self._index)
            with aside.open("wb") as file:
                file.write(data.tobytes())
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._file)
        self._dirty = False

    def optimize(self) -> None:
        """Build the index anew where much of it is vectors that are gone."""
        if self._index.ntotal > 1.2 * self.count():
            self._index = self._empty()
            self._catch_up()
            self.flush()

    def close(self) -> None:
        """Flush, and let others open it."""
        if self._db is not None:
            try:
                self.flush()
            finally:
                self._db.close()
                self._db = None
                self._folder.unlock()

    def _empty(self) -> Any:
        dimension = self._settings.dimension
        if self._kind == "flat":
            return faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        graph = faiss.IndexHNSWFlat(dimension, _LINKS, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efSearch = _EXPLORED
        return faiss.IndexIDMap2(graph)

    def _load(self) -> Any:
        """The saved index; none where it is missing or damaged, which costs time alone."""
        try:
            data = np.frombuffer(self._file.read_bytes(), np.uint8)
            index = faiss.deserialize_index(data)
        except (OSError, RuntimeError):
            return self._empty()
        return index if index.d == self._settings.dimension else self._empty()

    def _catch_up(self) -> None:
        """Bring the index to what SQLite has: a process may have been killed in between."""
        with self._faults():
            there = {number for (number,) in self._open.execute("SELECT number FROM points")}
        known = set(faiss.vector_to_array(self._index.id_map).tolist())
        if self._kind == "flat" and (gone := known - there):
            self._drop(sorted(gone))
        missing = sorted(there - known)
        for start in range(0, len(missing), _BATCH):
            some = missing[start : start + _BATCH]
            self._index.add_with_ids(self._vectors(some), np.asarray(some, np.int64))
            self._dirty = True

    def _drop(self, numbers: Sequence[int]) -> None:
        """A graph cannot lose a node: what is gone from SQLite is left out when searching."""
        if self._kind == "flat":
            self._index.remove_ids(np.asarray(numbers, np.int64))
        self._dirty = True
        self._alive = None

    def _search(self, query: Any, k: int, allowed: Any) -> list[Hit]:
        if allowed is None and self._kind == "hnsw":
            if self._alive is None:
                with self._faults():
                    rows = self._open.execute("SELECT number FROM points").fetchall()
                self._alive = np.asarray([number for (number,) in rows], np.int64)
            if len(self._alive) < self._index.ntotal:
                allowed = self._alive
        if not self._index.ntotal or (allowed is not None and not len(allowed)):
            return []
        parameters = None
        if allowed is not None:
            chosen = faiss.IDSelectorBatch(allowed)
            parameters = (
                faiss.SearchParameters(sel=chosen)
                if self._kind == "flat"
                else faiss.SearchParametersHNSW(sel=chosen, efSearch=max(_EXPLORED, k))
            )
        scores, numbers = self._index.search(query, min(k, self._index.ntotal), params=parameters)
        return self._hits(
            [(int(n), float(s)) for n, s in zip(numbers[0], scores[0], strict=True) if n >= 0]
        )

    def _compare(self, query: Any, k: int, numbers: Sequence[int]) -> list[Hit]:
        if not numbers:
            return []
        scores = self._vectors(numbers) @ query
        best = np.argsort(-scores, kind="stable")[:k]
        return self._hits([(numbers[i], float(scores[i])) for i in best])

    def _hits(self, found: Sequence[tuple[int, float]]) -> list[Hit]:
        with self._faults():
            names = dict(
                row
                for number, _ in found
                for row in self._open.execute(
                    "SELECT number, id FROM points WHERE number = ?", (number,)
                )
            )
        return [Hit(names[number], score) for number, score in found if number in names]

    def _vectors(self, numbers: Sequence[int]) -> Any:
        with self._faults():
            blobs = [
                self._open.execute("SELECT vector FROM points WHERE number = ?", (n,)).fetchone()[0]
                for n in numbers
            ]
        return np.frombuffer(b"".join(blobs), np.float32).reshape(len(blobs), -1)

    def _matching(self, where: Filter) -> Iterator[tuple[int, str]]:
        with self._faults():
            for number, metadata in self._open.execute("SELECT number, metadata FROM points"):
                if holds(where, msgspec.json.decode(metadata)):
                    yield number, metadata

    def _rows(self, ids: Sequence[str], columns: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        with self._faults():
            for start in range(0, len(ids), _BATCH):
                some = ids[start : start + _BATCH]
                marks = ",".join("?" * len(some))
                query = f"SELECT {columns} FROM points WHERE id IN ({marks})"  # noqa: S608
                rows += self._open.execute(query, some).fetchall()
        return rows


def _point(name: str, text: str, metadata: str, vector: bytes, *, vectors: bool) -> Point:
    dense = np.frombuffer(vector, np.float32).tolist() if vectors else None
    return Point(name, text, msgspec.json.decode(metadata), dense)
