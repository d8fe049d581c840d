"""Vectors by hash of their text, kept for when the text comes again: in a renamed file, in
another collection, in a run after one that was killed.
"""

from __future__ import annotations

import hashlib
import sqlite3
from array import array
from contextlib import suppress
from typing import TYPE_CHECKING

from oss import paths
from oss.contracts.errors import StorageError
from oss.files import storage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from oss.contracts.retriever import Embedder

MOST = 200_000
"""Vectors kept; the oldest go first. 300 MB with 384 numbers each."""
_SLICE = 128
_MARKS = 500


def cache_path(fingerprint: str) -> Path:
    """The file with the vectors of one embedder."""
    name = hashlib.sha256(fingerprint.encode()).hexdigest()[:16]
    return paths.cache_dir() / "vectors" / f"{name}.sqlite"


class StoredVectors:
    """A :class:`oss.retrieval.writing.VectorCache` in a file. One that is damaged is begun anew:
    all of it can be made again.
    """

    def __init__(self, fingerprint: str) -> None:
        self.path = cache_path(fingerprint)
        with storage_errors(self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = self._open()
        except sqlite3.OperationalError as error:
            raise self._told(error) from error
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        try:
            db.executescript(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                "CREATE TABLE IF NOT EXISTS vectors"
                " (id INTEGER PRIMARY KEY, hash BLOB UNIQUE NOT NULL, vector BLOB NOT NULL)"
            )
        except BaseException:
            db.close()
            raise
        return db

    def _told(self, error: sqlite3.Error) -> StorageError:
        return StorageError(
            f"cannot write {self.path}: {error}", hint="make room; what was indexed is kept"
        )

    def get(self, hashes: Sequence[str]) -> Mapping[str, Sequence[float]]:
        """Those that are known."""
        found: dict[str, Sequence[float]] = {}
        for start in range(0, len(hashes), _MARKS):
            keys = [bytes.fromhex(digest) for digest in hashes[start : start + _MARKS]]
            query = f"SELECT hash, vector FROM vectors WHERE hash IN ({','.join('?' * len(keys))})"  # noqa: S608  only marks
            for digest, blob in self._db.execute(query, keys):
                vector = array("f")
                vector.frombytes(blob)
                found[digest.hex()] = vector.tolist()
        return found

    def put(self, vectors: Mapping[str, Sequence[float]]) -> None:
        """Remember more.

        :raises StorageError: the disk is full.
        """
        rows = [(bytes.fromhex(key), array("f", value).tobytes()) for key, value in vectors.items()]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR IGNORE INTO vectors (hash, vector) VALUES (?, ?)", rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise self._told(error) from error

    def prune(self, most: int = MOST) -> None:
        """Let the oldest go."""
        self._db.execute(
            "DELETE FROM vectors WHERE id <= (SELECT max(id) FROM vectors) - ?", (most,)
        )

    def close(self) -> None:
        """Close the file."""
        self._db.close()


async def embed_missing(
    texts: Mapping[str, str],
    embedder: Embedder,
    cache: StoredVectors,
    told: Callable[[int], None],
) -> int:
    """Embed texts, by hash, that the cache lacks, a slice at a time, so that little is lost when
    it is stopped. How many that were.

    :param told: called with the number of texts after each slice.
    """
    known = cache.get(list(texts))
    missing = [digest for digest in texts if digest not in known]
    for start in range(0, len(missing), _SLICE):
        some = missing[start : start + _SLICE]
        vectors = await embedder.embed_documents([texts[digest] for digest in some])
        cache.put(dict(zip(some, vectors, strict=True)))
        told(len(some))
    return len(missing)
