"""One SQLite file: opened, migrated, and its faults told in words."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from oss.contracts.errors import BusyError, OssError, StorageError
from oss.store.schema import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_TIMEOUT_S = 5.0
"""How long a writer waits for another process before it gives up."""


def open_database(path: Path) -> sqlite3.Connection:
    """A connection to the store at ``path``, made or migrated where needed; for any thread, but
    one at a time.

    Write-ahead log, so that readers and a writer do not wait for each other and a killed process
    leaves a whole database. In a place that cannot be written the file is opened for reading.

    :raises StorageError: no room, not writable and not there, damaged, or of a newer version.
    :raises BusyError: another process held it too long.
    """
    with faults(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"cannot make {path.parent}: {error.strerror or error}",
                hint="set OSS_HOME to a folder that can be written, or run with --no-log",
            ) from error
        try:
            return _open_for_writing(path)
        except sqlite3.OperationalError as error:
            if not (_is_readonly(error) and path.exists()):
                raise
        return _open_for_reading(path)


@contextmanager
def faults(path: Path) -> Iterator[None]:
    """Turn what SQLite raises about the file into errors that a person can mend.

    Faults of the program (a wrong statement, a broken constraint) pass through.
    """
    try:
        yield
    except sqlite3.Error as error:
        told = _told(error, path)
        if told is None:
            raise
        raise told from error


def _open_for_writing(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        # NORMAL: a killed process loses nothing; a power cut perhaps the last turns.
        connection.executescript("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;")
        if _version(connection, path) < len(MIGRATIONS):
            connection.execute("PRAGMA journal_mode = WAL")
            _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    connection.row_factory = sqlite3.Row
    return connection


def _open_for_reading(path: Path) -> sqlite3.Connection:
    # `immutable`: a write-ahead log needs a shared-memory file, which cannot be made here.
    uri = f"{path.resolve().as_uri()}?immutable=1"
    connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
    _version(connection, path)
    connection.row_factory = sqlite3.Row
    return connection


def _version(connection: sqlite3.Connection, path: Path) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise StorageError(
            f"{path} was written by a newer oss (format {version}; this one knows "
            f"{len(MIGRATIONS)})",
            hint="pip install -U oss-workbench",
        )
    return version


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read again: another process may have migrated while this one waited for the lock.
        for number in range(_version(connection, path), len(MIGRATIONS)):
            for statement in _statements(MIGRATIONS[number]):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    # `executescript` would commit first, and half a migration must never stay.
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _is_readonly(error: sqlite3.Error) -> bool:
    return any(text in str(error) for text in ("readonly", "unable to open"))


def _told(error: sqlite3.Error, path: Path) -> OssError | None:
    text = str(error)
    if "locked" in text or "busy" in text:
        return BusyError(
            f"{path} is locked by another process",
            hint="wait until it is done, or run with --no-log",
        )
    if "readonly" in text or "unable to open" in text or "authorization" in text:
        return StorageError(
            f"cannot write {path}: {text}",
            hint="set OSS_HOME to a folder that can be written, or run with --no-log",
        )
    if "disk is full" in text or "disk I/O" in text:
        return StorageError(f"cannot write {path}: {text}", hint="free some space on its disk")
    if "malformed" in text or "not a database" in text or "file is encrypted" in text:
        return StorageError(
            f"{path} is damaged: {text}",
            hint=f"move it aside and a new one is started; `sqlite3 {path.name} .recover` may "
            "save what is in it",
        )
    return None
