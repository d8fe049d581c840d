"""One collection: a table with the whole metadata as JSON beside columns for what is filtered."""

from __future__ import annotations

import os
import shutil
import warnings
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

# Else listing indexes logs a warning about statistics that nobody here asks for.
os.environ.setdefault("LANCE_INCLUDE_VECTOR_CENTROIDS", "false")

import lancedb
import msgspec
import pyarrow as pa
from lancedb.index import BTree, HnswSq

from oss.contracts.errors import StorageError
from oss.contracts.store import Hit, Point, StoreFeature
from oss.retrieval.fields import INDEXED
from oss.retrieval.filters import holds
from oss.retrieval.folder_store import FolderCollection
from oss.retrieval.pushdown import Pushdown, search_deeper, typed_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from oss.contracts.filters import Compare, Filter
    from oss.contracts.store import CollectionSettings
    from oss.retrieval.folders import CollectionFolder

TABLE = "points"
_MARKS = 1000
_FLAT = 1000
"""Rows from which on looking ids up in an index pays."""
_EXPLORED = 200
_REFINED = 4
"""How many times the wanted hits are compared again with whole vectors: the index has one byte for
each number of them.
"""


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _compare(where: Compare) -> str:
    value = _text(where.value) if isinstance(where.value, str) else repr(float(where.value))
    operator = "=" if where.operator == "!=" else where.operator
    found = f"coalesce(`{where.field}` {operator} {value}, false)"
    return f"(NOT {found})" if where.operator == "!=" else found


_PUSHDOWN: Pushdown[str] = Pushdown(
    _compare,
    lambda parts: f"({' AND '.join(parts)})",
    lambda parts: f"({' OR '.join(parts)})",
    lambda part: f"(NOT {part})",
)


@contextmanager
def _faults(name: str) -> Iterator[None]:
    """The library raises bare runtime and value errors with a text."""
    try:
        yield
    except (RuntimeError, OSError, pa.ArrowException) as error:
        raise StorageError(
            f"collection '{name}': {error}",
            hint="make room, or make it anew: oss docs rm, then oss docs add",
        ) from error


def _schema(dimension: int) -> Any:
    kinds = {"keyword": pa.string(), "integer": pa.float64()}
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("text", pa.string()),
            pa.field("metadata", pa.string()),
            pa.field("vector", pa.list_(pa.float32(), dimension)),
            *(pa.field(field, kinds[kind]) for field, kind in INDEXED.items()),
        ]
    )


class LanceCollection(FolderCollection):
    """An open table. Every write is a new version of it, on the disk before the call returns."""

    features: ClassVar[frozenset[StoreFeature]] = frozenset({StoreFeature.FILTER})

    def __init__(
        self, folder: CollectionFolder, settings: CollectionSettings, table: Any, index_from: int
    ) -> None:
        super().__init__(folder, settings)
        self._table = table
        self._index_from = index_from

    @classmethod
    def create(
        cls, folder: CollectionFolder, settings: CollectionSettings, index_from: int
    ) -> LanceCollection:
        """Make the table; the settings file comes last."""
        shutil.rmtree(folder.path / "lance", ignore_errors=True)
        with _faults(folder.name):
            database = lancedb.connect(str(folder.path / "lance"))
            table = database.create_table(TABLE, schema=_schema(settings.dimension))
        folder.write_settings(settings)
        return cls(folder, settings, table, index_from)

    @classmethod
    def open(cls, folder: CollectionFolder, index_from: int) -> LanceCollection:
        """Open the table."""
        settings = folder.read_settings()
        with _faults(folder.name):
            try:
                table = lancedb.connect(str(folder.path / "lance")).open_table(TABLE)
            except ValueError as error:  # what it says of a table that is not there
                raise RuntimeError(str(error)) from error
        return cls(folder, settings, table, index_from)

    @property
    def _open(self) -> Any:
        if self._table is None:
            raise ValueError(f"collection '{self.name}' is closed")
        return self._table

    def upsert(self, points: Sequence[Point]) -> None:
        """Add or replace, in one version of the table."""
        latest = list({point.id: point for point in points}.values())
        if not latest:
            return
        columns: dict[str, list[Any]] = {
            "id": [point.id for point in latest],
            "text": [point.text for point in latest],
            "metadata": [msgspec.json.encode(dict(p.metadata)).decode() for p in latest],
            "vector": [list(point.dense or ()) for point in latest],
            **{field: [_column(p.metadata, field) for p in latest] for field in INDEXED},
        }
        rows = pa.table(columns, schema=self._open.schema)
        with _faults(self.name):
            if any(self._open.count_rows(_among(some)) for some in _parts(columns["id"])):
                merge = self._open.merge_insert("id").when_matched_update_all()
                merge.when_not_matched_insert_all().execute(rows)
            else:
                self._open.add(rows)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove by id."""
        with _faults(self.name):
            for some in _parts(ids):
                self._open.delete(_among(some))

    def dense(self, vector: Sequence[float], k: int, where: Filter | None = None) -> list[Hit]:
        """Nearest by cosine."""
        native, exact = _PUSHDOWN.translate(where)
        query = list(map(float, vector))

        def search(count: int) -> list[Hit]:
            request = self._open.search(query, vector_column_name="vector").distance_type("cosine")
            request = request.limit(count).select(["id", "_distance"])
            request = request.ef(max(_EXPLORED, count)).refine_factor(_REFINED)
            if native is not None:
                request = request.where(native, prefilter=True)
            with _faults(self.name):
                rows = request.to_arrow()
            distances = rows["_distance"].to_pylist()
            return [
                Hit(name, 1.0 - distance)
                for name, distance in zip(rows["id"].to_pylist(), distances, strict=True)
            ]

        if where is None or exact:
            return search(k)
        return search_deeper(search, self.fetch, where, k)

    def fetch(self, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        """Points by id."""
        found = {p.id: p for some in _parts(ids) for p in self._select(_among(some), vectors)}
        return [found[name] for name in ids if name in found]

    def scroll(self, where: Filter | None = None, *, vectors: bool = False) -> Iterator[Point]:
        """All points, as they were when it began."""
        native, exact = _PUSHDOWN.translate(where)
        for point in self._select(native, vectors):
            if where is None or exact or holds(where, point.metadata):
                yield point

    def _select(self, native: str | None, vectors: bool) -> Iterator[Point]:
        columns = ["id", "text", "metadata", *(["vector"] if vectors else [])]
        request = self._open.search().select(columns)
        with _faults(self.name):
            batches = (request if native is None else request.where(native)).to_batches()
            for batch in batches:
                for row in batch.to_pylist():
                    metadata = msgspec.json.decode(row["metadata"])
                    yield Point(row["id"], row["text"], metadata, row.get("vector"))

    def count(self, where: Filter | None = None) -> int:
        """Exactly how many."""
        native, exact = _PUSHDOWN.translate(where)
        if where is not None and not exact:
            return sum(1 for _ in self.scroll(where))
        with _faults(self.name):
            return int(self._open.count_rows(native))

    def flush(self) -> None:
        """Nothing to do: each write is a version on the disk."""

    def optimize(self) -> None:
        """Join what many writes left in many files, forget old versions, index what has none."""
        with _faults(self.name):
            table, known = self._open, {tuple(i.columns) for i in self._open.list_indices()}
            count = table.count_rows()
            if ("id",) not in known and count >= _FLAT:
                table.create_index("id", config=BTree())
            if ("vector",) not in known and count >= self._index_from:
                table.create_index("vector", config=HnswSq(distance_type="cosine"))
            with warnings.catch_warnings():
                # It warns of other readers, whom the lock of the folder keeps out.
                warnings.filterwarnings("ignore", message="optimize.cleanup_older_than=0")
                table.optimize(cleanup_older_than=timedelta(0))

    def close(self) -> None:
        """Let others open it."""
        if self._table is not None:
            self._table = None
            self._folder.unlock()


def _column(metadata: Mapping[str, Any], field: str) -> Any:
    value = typed_value(metadata, field)
    return float(value) if isinstance(value, int) else value


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _MARKS):
        yield ids[start : start + _MARKS]


def _among(ids: Sequence[str]) -> str:
    return f"id IN ({', '.join(map(_text, ids))})"
