"""What was indexed, as it was then: a small database beside the collection.

A row is written after its chunks are safe in the collection, so a file without a row is done
again, and nothing with a row is missing.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from oss import paths
from oss.contracts.errors import BusyError, StorageError
from oss.files import storage_errors
from oss.retrieval.folders import collections_dir
from oss.retrieval.indexing.roots import Root, Rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from oss.contracts.store import VectorStore

FORMAT = 1
_SETTLED = "settled"
_ALL_READ = " 0"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    loader TEXT NOT NULL,
    chunks INTEGER NOT NULL,
    fault TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS roots (
    path TEXT NOT NULL,
    only TEXT NOT NULL,
    rules TEXT NOT NULL,
    PRIMARY KEY (path, only)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unread ON files (path) WHERE fault <> '' OR loader = '';
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class Row(NamedTuple):
    """A file as it was read.

    :param mtime: time of change in nanoseconds; 0 where it changed so shortly before it was read
        that the time says nothing.
    :param sha256: of its content; empty where it was not read.
    :param loader: who read it; empty where no loader does.
    :param fault: why it could not be read; empty where it could.
    """

    path: str
    size: int
    mtime: int
    sha256: str = ""
    loader: str = ""
    chunks: int = 0
    fault: str = ""


def manifest_path(store: VectorStore, name: str) -> Path:
    """Where the manifest of a collection lies: with its data, or, where that is on a server, in
    a place of its own.
    """
    if not store.address:
        return collections_dir() / name / "manifest.sqlite"
    place = hashlib.sha256(f"{store.name} {store.address}".encode()).hexdigest()[:16]
    return paths.data_dir() / "manifests" / place / name / "manifest.sqlite"


@contextmanager
def indexing(store: VectorStore, name: str) -> Iterator[Manifest]:
    """Open the manifest of a collection, for this process alone.

    :raises BusyError: another process is indexing into it.
    """
    path = manifest_path(store, name)
    if not os.path.isdir(path.parent):  # noqa: PTH112  half as long as asking a Path
        with storage_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
    with closing(Manifest(path)) as manifest:
        yield manifest


def forget_sources(store: VectorStore, name: str, sources: Iterable[str]) -> None:
    """Take files out of the manifest before their chunks are taken out of the collection, so
    that the next sync brings back those that are still there.

    :raises BusyError: another process is indexing into the collection.
    """
    if manifest_path(store, name).exists():
        with indexing(store, name) as manifest:
            manifest.remove(sources)


def forget_collection(store: VectorStore, name: str) -> None:
    """Remove the manifest of a collection that is removed from a server."""
    if store.address:
        manifest_path(store, name).unlink(missing_ok=True)


class Manifest:
    """The database, locked for this process until it is closed, or the process is killed. Used
    from one thread.

    :raises BusyError: another process has it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._faults():
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None)
            try:
                self._lock()
                if self._db.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
                    self._make()
                notes = self._db.execute("SELECT name, value FROM notes").fetchall()
                self._notes: dict[str, str] = dict(notes)
            except BaseException:
                self._db.close()
                raise

    def _lock(self) -> None:
        """With SQLite's own lock: a file of its own for that, made, locked and let go, takes as
        long as looking at a hundred files.
        """
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")  # what is locked stays so
        try:
            self._db.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            raise BusyError(
                f"another process is indexing into '{self.path.parent.name}'",
                hint="wait until it is done, then run the same command again",
            ) from error
        self._db.execute("COMMIT")

    def _make(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > FORMAT:
            raise StorageError(
                f"{self.path} was written by a newer oss (format {version})",
                hint="pip install -U oss-workbench",
            )
        # No write-ahead log: making and removing its files costs more than a sync with nothing
        # to do, and one process has the manifest at a time.
        self._db.executescript(_SCHEMA)
        self._db.execute(f"PRAGMA user_version = {FORMAT}")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StorageError(
                f"cannot write {self.path}: {error}", hint="make room; what was indexed is kept"
            ) from error
        except sqlite3.DatabaseError as error:
            raise StorageError(
                f"{self.path} is damaged: {error}",
                hint="remove it; the next sync reads all files again and embeds nothing twice",
            ) from error

    def known(self) -> dict[str, tuple[int, int]]:
        """Size and time of every file, by path."""
        with self._faults():
            found = self._db.execute("SELECT path, size, mtime FROM files")
            return {path: (size, mtime) for path, size, mtime in found}

    def rows(self, paths: Sequence[str] | None = None) -> dict[str, Row]:
        """Whole rows, of these paths or of all."""
        with self._faults():
            if paths is None:
                return {row[0]: Row(*row) for row in self._db.execute("SELECT * FROM files")}
            found: dict[str, Row] = {}
            for start in range(0, len(paths), 500):
                some = paths[start : start + 500]
                marks = ",".join("?" * len(some))
                query = f"SELECT * FROM files WHERE path IN ({marks})"  # noqa: S608  only marks
                found |= {row[0]: Row(*row) for row in self._db.execute(query, some)}
            return found

    def unread(self) -> list[Row]:
        """Files that could not be read, and those that no loader reads."""
        if self.note(_SETTLED).endswith(_ALL_READ):
            return []
        query = "SELECT * FROM files WHERE fault <> '' OR loader = ''"
        with self._faults():
            return [Row(*row) for row in self._db.execute(query)]

    def count(self) -> int:
        """Chunks of all files."""
        with self._faults():
            total: int = self._db.execute("SELECT total(chunks) FROM files").fetchone()[0]
            return int(total)

    def settled(self, files: Mapping[str, tuple[int, int]]) -> bool:
        """Whether these are the files that :meth:`settle` was told of, and no row has changed
        since: quicker to tell than by comparing every row.
        """
        try:
            return self.note(_SETTLED).partition(" ")[0] == _digest(files)
        except UnicodeEncodeError:  # a name that is not UTF-8 has no row
            return False

    def settle(self, files: Mapping[str, tuple[int, int]]) -> None:
        """Remember that these files, in this order, are what the rows say."""
        self.set_note(_SETTLED, f"{_digest(files)} {len(self.unread())}")

    def _unsettle(self) -> None:
        if self._notes.pop(_SETTLED, None):
            self._db.execute("DELETE FROM notes WHERE name = ?", (_SETTLED,))

    def write(self, rows: Iterable[Row]) -> None:
        """Add or replace rows, all of them or none."""
        with self._faults(), self._at_once():
            self._unsettle()
            self._db.executemany("INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?)", rows)

    def remove(self, paths: Iterable[str]) -> None:
        """Take rows out."""
        with self._faults(), self._at_once():
            self._unsettle()
            self._db.executemany("DELETE FROM files WHERE path = ?", ((p,) for p in paths))

    def clear(self, *, roots: bool = False) -> None:
        """Forget all files, and the roots too where that is asked for."""
        with self._faults(), self._at_once():
            self._unsettle()
            self._db.execute("DELETE FROM files")
            if roots:
                self._db.execute("DELETE FROM roots")
                self._db.execute("DELETE FROM notes")
                self._notes.clear()

    def roots(self) -> list[Root]:
        """What the collection is made from."""
        with self._faults():
            return [
                Root(path, only, msgspec.json.decode(rules, type=Rules))
                for path, only, rules in self._db.execute("SELECT * FROM roots")
            ]

    def add_roots(self, roots: Iterable[Root]) -> None:
        """Remember roots; the same one with other rules is replaced."""
        rows = [(r.path, r.only, msgspec.json.encode(r.rules).decode()) for r in roots]
        with self._faults(), self._at_once():
            self._db.executemany("INSERT OR REPLACE INTO roots VALUES (?,?,?)", rows)

    def remove_root(self, path: str) -> None:
        """Forget a root, with every pattern in it; its files are gone with the next run."""
        with self._faults():
            self._db.execute("DELETE FROM roots WHERE path = ?", (path,))

    def note(self, name: str) -> str:
        """A remembered word, or nothing."""
        return self._notes.get(name, "")

    def set_note(self, name: str, value: str) -> None:
        """Remember a word."""
        with self._faults():
            self._db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))
        self._notes[name] = value

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


def _digest(files: Mapping[str, tuple[int, int]]) -> str:
    return hashlib.sha256(msgspec.msgpack.encode(files)).hexdigest()
