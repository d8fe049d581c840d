"""Sparse vectors in a file beside a store that keeps none: an inverted index in SQLite.

A segment holds, for each place (:mod:`oss.retrieval.sparse`), the numbers of the points that have
it and their weights, as packed arrays. What a batch brings becomes a segment; small ones are
merged, so that there are few. A point that is replaced or deleted loses its number, and entries
of numbers that are gone are left out when searching, until a merge drops them.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from oss.contracts.errors import BusyError, StorageError
from oss.contracts.store import Hit, SparseVector
from oss.retrieval.extras import needs_extra

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS points (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE NOT NULL,
    stamp TEXT NOT NULL,
    places BLOB NOT NULL,
    weights BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS segments (segment INTEGER PRIMARY KEY, points INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS postings (
    place INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    numbers BLOB NOT NULL,
    weights BLOB NOT NULL,
    PRIMARY KEY (place, segment)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_MARKS = 500
_WAIT_S = 5.0
_DEAD = 0.2
"""Share of entries of points that are gone from which on they are dropped."""


class Entry(NamedTuple):
    """A point of the index.

    :param stamp: of what text the vector was made, to tell whether it is still that.
    """

    id: str
    stamp: str
    vector: SparseVector


class SparseIndex:
    """An open index file; one that is damaged is begun anew, for all of it can be made again.

    What is written is found at once, and stays after :meth:`commit`.

    :raises StorageError: from every method, when the disk is full.
    :raises BusyError: another process writes to it.
    """

    def __init__(self, file: Path) -> None:
        with needs_extra("retrieval"):
            import numpy as np
        self._np: Any = np
        self.file = file
        self._waiting: list[tuple[int, Any, Any]] = []
        self._alive: Any = None
        self._seen = 0
        try:
            self._db = self._connect()
        except sqlite3.OperationalError as error:
            raise self._told(error) from error
        except sqlite3.DatabaseError:
            remove_index(file)
            self._db = self._connect()

    def _connect(self) -> sqlite3.Connection:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(
            self.file, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
        )
        try:
            db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + _SCHEMA)
            db.execute("SELECT count(*) FROM segments").fetchone()
        except BaseException:
            db.close()
            raise
        return db

    def _told(self, error: sqlite3.Error) -> StorageError | BusyError:
        if "locked" in str(error):
            return BusyError(f"{self.file} is being written to by another process")
        return StorageError(f"cannot write {self.file}: {error}", hint="make room")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._told(error) from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._faults():
            if not self._db.in_transaction:
                self._db.execute("BEGIN IMMEDIATE")
            yield

    def __len__(self) -> int:
        """How many points it has."""
        with self._faults():
            found: int = self._db.execute("SELECT count(*) FROM points").fetchone()[0]
        return found

    def note(self, key: str) -> str | None:
        """What was noted at the last commit."""
        with self._faults():
            row = self._db.execute("SELECT value FROM notes WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def stamps(self) -> dict[str, str]:
        """The stamp of every point, by id."""
        with self._faults():
            return dict(self._db.execute("SELECT id, stamp FROM points"))

    def put(self, entries: Iterable[Entry]) -> None:
        """Add or replace."""
        latest = {entry.id: entry for entry in entries}
        self.delete(list(latest))
        np, alive = self._np, self._numbers_alive()
        with self._writing():
            for entry in latest.values():
                places = np.asarray(entry.vector.indices, np.uint32)
                weights = np.asarray(entry.vector.values, np.float32)
                row = (entry.id, entry.stamp, places.tobytes(), weights.tobytes())
                number = self._db.execute(
                    "INSERT INTO points (id, stamp, places, weights) VALUES (?, ?, ?, ?)", row
                ).lastrowid
                assert number is not None  # noqa: S101  an INSERT has one
                self._waiting.append((number, places, weights))
        if self._waiting:
            most = self._waiting[-1][0]
            if most >= len(alive):
                self._alive = alive = np.concatenate(
                    [alive, np.zeros(most + 1 + len(alive) // 4 - len(alive), bool)]
                )
            alive[[number for number, _, _ in self._waiting]] = True

    def reweigh(self, weights: Mapping[str, SparseVector]) -> None:
        """Other vectors for points that are there; others are left out."""
        stamps = dict(self._rows(list(weights), "id, stamp"))
        self.put(Entry(name, stamp, weights[name]) for name, stamp in stamps.items())

    def delete(self, ids: Sequence[str]) -> None:
        """Remove; those that are not there are no error."""
        numbers = [number for (number,) in self._rows(ids, "number")]
        if not numbers:
            return
        self._numbers_alive()[numbers] = False
        if self._waiting:
            gone = set(numbers)
            self._waiting = [item for item in self._waiting if item[0] not in gone]
        with self._writing():
            self._db.executemany("DELETE FROM points WHERE number = ?", ((n,) for n in numbers))

    def vectors(self, ids: Sequence[str]) -> dict[str, SparseVector]:
        """Those that are there, by id."""
        np = self._np
        return {
            name: SparseVector(
                tuple(np.frombuffer(places, np.uint32).tolist()),
                tuple(np.frombuffer(weights, np.float32).tolist()),
            )
            for name, places, weights in self._rows(ids, "id, places, weights")
        }

    def search(self, vector: SparseVector, k: int) -> list[Hit]:
        """The ``k`` best by sum of products weighted by inverse document frequency, as Qdrant has
        it: ``ln((N - n + 0.5) / (n + 0.5) + 1)``. Of equal ones the lower ids come first.
        """
        np, alive = self._np, self._numbers_alive()
        self._write_segment()
        total = int(np.count_nonzero(alive))
        scores = np.zeros(len(alive), np.float32)
        for place, wanted in zip(vector.indices, vector.values, strict=True):
            with self._faults():
                rows = self._db.execute(
                    "SELECT numbers, weights FROM postings WHERE place = ?", (place,)
                ).fetchall()
            numbers = np.frombuffer(b"".join(row[0] for row in rows), np.uint32)
            weights = np.frombuffer(b"".join(row[1] for row in rows), np.float32)
            there = alive[numbers]
            numbers, weights = numbers[there], weights[there]
            rarity = np.log((total - len(numbers) + 0.5) / (len(numbers) + 0.5) + 1)
            scores[numbers] += np.float32(wanted * rarity) * weights
        found = np.flatnonzero(scores > 0)
        if len(found) > k:
            least = np.partition(scores[found], len(found) - k)[len(found) - k]
            found = found[scores[found] >= least]
        names = self._names([int(number) for number in found])
        hits = [Hit(names[int(number)], float(scores[number])) for number in found]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))[:k]

    def commit(self, notes: Mapping[str, str]) -> None:
        """Return when what was written outlives a killed process; replace these notes with it."""
        self._write_segment()
        with self._writing():
            self._db.executemany(
                "INSERT OR REPLACE INTO notes (key, value) VALUES (?, ?)", list(notes.items())
            )
            self._db.execute("COMMIT")

    def merge(self) -> None:
        """Join the smaller segments, so that each is at least as large as all smaller ones
        together; all of them when too much of them is of points that are gone.
        """
        self._write_segment()
        with self._faults():
            rows = self._db.execute(
                "SELECT segment, points FROM segments ORDER BY points DESC"
            ).fetchall()
        indexed, begin = sum(points for _, points in rows), 0
        if len(self) >= (1 - _DEAD) * indexed:
            while begin < len(rows) and rows[begin][1] >= sum(r[1] for r in rows[begin + 1 :]):
                begin += 1
        old = [segment for segment, _ in rows[begin:]]
        if old:
            self._join(old)

    def close(self) -> None:
        """Leave what was not committed."""
        self._db.close()

    def _numbers_alive(self) -> Any:
        """For each number whether a point has it; read again when another process has written."""
        with self._faults():
            version = self._db.execute("PRAGMA data_version").fetchone()[0]
            if self._alive is None or version != self._seen:
                numbers = [row[0] for row in self._db.execute("SELECT number FROM points")]
                most = self._db.execute("SELECT max(seq) FROM sqlite_sequence").fetchone()[0]
                self._alive = self._np.zeros((most or 0) + 1, bool)
                self._alive[numbers] = True
                self._seen = version
        return self._alive

    def _write_segment(self) -> None:
        if not self._waiting:
            return
        np = self._np
        places = np.concatenate([item[1] for item in self._waiting])
        weights = np.concatenate([item[2] for item in self._waiting])
        numbers = np.repeat(
            np.asarray([item[0] for item in self._waiting], np.uint32),
            [len(item[1]) for item in self._waiting],
        )
        order = np.argsort(places, kind="stable")
        places, weights, numbers = places[order], weights[order], numbers[order]
        different, starts = np.unique(places, return_index=True)
        ends = [*starts[1:].tolist(), len(places)]
        segment = self._new_segment(len(self._waiting))
        with self._writing():
            self._db.executemany(
                "INSERT INTO postings VALUES (?, ?, ?, ?)",
                (
                    (place, segment, numbers[begin:end].tobytes(), weights[begin:end].tobytes())
                    for place, begin, end in zip(
                        different.tolist(), starts.tolist(), ends, strict=True
                    )
                ),
            )
        self._waiting = []

    def _new_segment(self, points: int) -> int:
        with self._writing():
            segment = self._db.execute(
                "INSERT INTO segments (points) VALUES (?)", (points,)
            ).lastrowid
        assert segment is not None  # noqa: S101  an INSERT has one
        return segment

    def _join(self, old: Sequence[int]) -> None:
        np, alive, kept = self._np, self._numbers_alive(), set()
        marks = ",".join(map(str, old))
        segment = self._new_segment(0)
        with self._writing():
            which = f"WHERE segment IN ({marks})"  # only numbers
            rows = self._db.execute(
                f"SELECT place, numbers, weights FROM postings {which} ORDER BY place"  # noqa: S608
            ).fetchall()
            self._db.execute(f"DELETE FROM postings {which}")  # noqa: S608
            self._db.execute(f"DELETE FROM segments {which}")  # noqa: S608
            for place, group in groupby(rows, key=lambda row: row[0]):
                parts = list(group)
                numbers = np.frombuffer(b"".join(part[1] for part in parts), np.uint32)
                weights = np.frombuffer(b"".join(part[2] for part in parts), np.float32)
                there = alive[numbers]
                if there.any():
                    numbers = numbers[there]
                    kept.update(numbers.tolist())
                    self._db.execute(
                        "INSERT INTO postings VALUES (?, ?, ?, ?)",
                        (place, segment, numbers.tobytes(), weights[there].tobytes()),
                    )
            self._db.execute(
                "UPDATE segments SET points = ? WHERE segment = ?", (len(kept), segment)
            )

    def _names(self, numbers: Sequence[int]) -> dict[int, str]:
        found: dict[int, str] = {}
        with self._faults():
            for start in range(0, len(numbers), _MARKS):
                some = numbers[start : start + _MARKS]
                marks = ",".join("?" * len(some))
                query = f"SELECT number, id FROM points WHERE number IN ({marks})"  # noqa: S608
                found.update(self._db.execute(query, some))
        return found

    def _rows(self, ids: Sequence[str], columns: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        with self._faults():
            for start in range(0, len(ids), _MARKS):
                some = ids[start : start + _MARKS]
                marks = ",".join("?" * len(some))
                query = f"SELECT {columns} FROM points WHERE id IN ({marks})"  # noqa: S608
                rows += self._db.execute(query, some).fetchall()
        return rows


def remove_index(file: Path) -> None:
    """Delete an index file and what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
