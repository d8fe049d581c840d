"""One collection: Chroma's own, with the whole metadata as JSON beside the fields it filters by."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import chromadb
import msgspec
from chromadb.config import Settings
from chromadb.errors import ChromaError

from oss.contracts.errors import StorageError
from oss.contracts.store import Hit, Point, StoreFeature
from oss.retrieval.fields import INDEXED
from oss.retrieval.filters import holds
from oss.retrieval.folder_store import FolderCollection
from oss.retrieval.pushdown import Pushdown, search_deeper, typed_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oss.contracts.filters import Compare, Filter
    from oss.contracts.store import CollectionSettings
    from oss.retrieval.folders import CollectionFolder

NAME = "oss"
JSON = "oss_metadata"
"""The key of the whole metadata in Chroma's, which holds plain values alone."""
_BATCH = 1000
_OPERATORS = {"=": "$eq", "!=": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
_PUSHDOWN: Pushdown[dict[str, Any]] = Pushdown(
    lambda where: _compare(where),
    lambda parts: {"$and": parts},
    lambda parts: {"$or": parts},
)


def _compare(where: Compare) -> dict[str, Any]:
    """Chroma compares numbers of both kinds, and its ``$ne`` holds where the field is missing."""
    return {where.field: {_OPERATORS[where.operator]: where.value}}


@contextmanager
def _faults(name: str) -> Iterator[None]:
    """Chroma raises its own errors, and of its database in Rust such as have no class."""
    try:
        yield
    except ChromaError as error:
        raise _told(name, error) from error
    except Exception as error:
        if type(error).__module__ not in ("builtins", "pyo3_runtime") or not isinstance(
            error, RuntimeError | OSError
        ):
            raise
        raise _told(name, error) from error


def _told(name: str, error: Exception) -> StorageError:
    return StorageError(
        f"collection '{name}': {error}",
        hint="make room, or make it anew: oss docs rm, then oss docs add",
    )


class ChromaCollection(FolderCollection):
    """An open database. Every write is on the disk, in its log, before the call returns."""

    features: ClassVar[frozenset[StoreFeature]] = frozenset({StoreFeature.FILTER})

    def __init__(
        self, folder: CollectionFolder, settings: CollectionSettings, client: Any, found: Any
    ) -> None:
        super().__init__(folder, settings)
        self._client = client
        self._found = found

    @classmethod
    def create(
        cls,
        folder: CollectionFolder,
        settings: CollectionSettings,
        neighbours: int,
        explored: int,
    ) -> ChromaCollection:
        """Make the database; the settings file comes last."""
        shutil.rmtree(folder.path / "chroma", ignore_errors=True)
        with _faults(folder.name):
            client = _client(folder)
            found = client.create_collection(
                NAME,
                embedding_function=None,
                configuration={
                    "hnsw": {
                        "space": "cosine",
                        "max_neighbors": neighbours,
                        "ef_search": explored,
                    }
                },
            )
        folder.write_settings(settings)
        return cls(folder, settings, client, found)

    @classmethod
    def open(cls, folder: CollectionFolder) -> ChromaCollection:
        """Open the database."""
        settings = folder.read_settings()
        _check(folder)
        with _faults(folder.name):
            client = _client(folder)
            try:
                found = client.get_collection(NAME, embedding_function=None)
            except BaseException:
                client.close()
                raise
        return cls(folder, settings, client, found)

    @property
    def _open(self) -> Any:
        if self._client is None:
            raise ValueError(f"collection '{self.name}' is closed")
        return self._found

    def upsert(self, points: Sequence[Point]) -> None:
        """Add or replace."""
        latest = list({point.id: point for point in points}.values())
        for start in range(0, len(latest), _BATCH):
            some = latest[start : start + _BATCH]
            with _faults(self.name):
                self._open.upsert(
                    ids=[point.id for point in some],
                    embeddings=[list(point.dense or ()) for point in some],
                    documents=[point.text for point in some],
                    metadatas=[_metadata_of(point) for point in some],
                )

    def delete(self, ids: Sequence[str]) -> None:
        """Remove by id."""
        for start in range(0, len(ids), _BATCH):
            with _faults(self.name):
                self._open.delete(ids=list(ids[start : start + _BATCH]))

    def dense(self, vector: Sequence[float], k: int, where: Filter | None = None) -> list[Hit]:
        """Nearest by cosine."""
        native, exact = _PUSHDOWN.translate(where)

        def search(count: int) -> list[Hit]:
            with _faults(self.name):
                found = self._open.query(
                    [list(map(float, vector))], n_results=count, where=native, include=["distances"]
                )
            return [
                Hit(name, 1.0 - float(distance))
                for name, distance in zip(found["ids"][0], found["distances"][0], strict=True)
            ]

        if where is None or exact:
            return search(k)
        return search_deeper(search, self.fetch, where, k)

    def fetch(self, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        """Points by id."""
        found: dict[str, Point] = {}
        for start in range(0, len(ids), _BATCH):
            some = list(dict.fromkeys(ids[start : start + _BATCH]))
            found.update((p.id, p) for p in self._get(vectors=vectors, ids=some))
        return [found[name] for name in ids if name in found]

    def scroll(self, where: Filter | None = None, *, vectors: bool = False) -> Iterator[Point]:
        """All points: their ids first, so that what is written meanwhile disturbs nothing."""
        native, exact = _PUSHDOWN.translate(where)
        with _faults(self.name):
            ids = self._open.get(where=native, include=[])["ids"]
        for start in range(0, len(ids), _BATCH):
            for point in self._get(vectors=vectors, ids=ids[start : start + _BATCH]):
                if where is None or exact or holds(where, point.metadata):
                    yield point

    def _get(self, *, vectors: bool, ids: list[str]) -> Iterator[Point]:
        include = ["documents", "metadatas", *(["embeddings"] if vectors else [])]
        with _faults(self.name):
            found = self._open.get(ids=ids, include=include)
        dense = found["embeddings"] if vectors else [None] * len(found["ids"])
        for name, text, metadata, vector in zip(
            found["ids"], found["documents"], found["metadatas"], dense, strict=True
        ):
            yield Point(
                name,
                text or "",
                msgspec.json.decode(metadata[JSON]),
                None if vector is None else [float(number) for number in vector],
            )

    def count(self, where: Filter | None = None) -> int:
        """Exactly how many."""
        native, exact = _PUSHDOWN.translate(where)
        with _faults(self.name):
            if where is None:
                return int(self._open.count())
            if exact:
                return len(self._open.get(where=native, include=[])["ids"])
        return sum(1 for _ in self.scroll(where))

    def flush(self) -> None:
        """Nothing to do: each write waited for Chroma's own log."""

    def close(self) -> None:
        """Let others open it."""
        if self._client is not None:
            try:
                self._client.close()
            finally:
                self._client = None
                self._folder.unlock()


def _check(folder: CollectionFolder) -> None:
    """See that the database can be read: of one that cannot, Chroma raises what says nothing."""
    file = folder.path / "chroma" / "chroma.sqlite3"
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            database.execute("SELECT count(*) FROM collections").fetchone()
    except sqlite3.Error as error:
        raise _told(folder.name, error) from error


def _client(folder: CollectionFolder) -> Any:
    settings = Settings(anonymized_telemetry=False)
    return chromadb.PersistentClient(str(folder.path / "chroma"), settings=settings)


def _metadata_of(point: Point) -> dict[str, Any]:
    """``None`` takes away what an older point of the same id had, which Chroma would keep."""
    fields = {field: typed_value(point.metadata, field) for field in INDEXED}
    return {**fields, JSON: msgspec.json.encode(dict(point.metadata)).decode()}
