"""The folder of a collection on this machine: its settings, its lock, its name.

<data>/collections/NAME/collection.json   how it was made; written last: without it there is none
                        lock              held while a process has it open
                        ...               what the store and the indexer keep
"""

from __future__ import annotations

import re
import shutil
import time
from typing import TYPE_CHECKING

import msgspec

from oss import paths
from oss.contracts.errors import BusyError, StorageError, UsageError
from oss.contracts.store import CollectionSettings
from oss.files import storage_errors, write_text

if TYPE_CHECKING:
    from pathlib import Path

    from filelock import FileLock

_NAME = re.compile(r"\w[\w.-]{0,99}")
WAIT_S = 5.0
"""How long to wait for another process to close a collection."""


def collections_dir() -> Path:
    """Where the collections of this user lie."""
    return paths.data_dir() / "collections"


def check_name(name: str) -> None:
    """See that a name can be a folder's and a server's.

    :raises UsageError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' cannot be the name of a collection",
            hint="letters, digits, '-', '_' and '.', beginning with a letter or a digit",
        )


def no_such_collection(name: str, known: list[str]) -> UsageError:
    """The error for a collection that is not there."""
    import difflib

    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"make it: oss docs add PATH --to {name}"
    return UsageError(f"there is no collection '{name}'", hint=hint)


class CollectionFolder:
    """One collection's folder, for stores that keep their data on this machine."""

    def __init__(self, root: Path, name: str) -> None:
        check_name(name)
        self.root = root
        self.name = name
        self.path = root / name
        self._lock: FileLock | None = None

    @staticmethod
    def names(root: Path) -> list[str]:
        """The collections under ``root``, sorted."""
        if not root.is_dir():
            return []
        return sorted(f.parent.name for f in root.glob("*/collection.json"))

    @property
    def exists(self) -> bool:
        """Whether the collection was made, to the end."""
        return (self.path / "collection.json").is_file()

    def lock(self) -> None:
        """Hold the collection for this process.

        :raises BusyError: another process has it open, and kept it for :data:`WAIT_S` seconds.
        """
        from filelock import FileLock, Timeout

        with storage_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / "lock")
            try:
                lock.acquire(timeout=WAIT_S, poll_interval=0.05)
            except Timeout as error:
                raise BusyError(
                    f"collection '{self.name}' is open in another process",
                    hint="it is being written: try again in a moment",
                ) from error
        self._lock = lock

    def unlock(self) -> None:
        """Let others have it; harmless when it is not held."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def read_settings(self) -> CollectionSettings:
        """What the collection was made with.

        :raises StorageError: the file is damaged.
        """
        file = self.path / "collection.json"
        try:
            return msgspec.json.decode(file.read_bytes(), type=CollectionSettings)
        except (msgspec.DecodeError, OSError) as error:
            raise StorageError(f"{file} is damaged: {error}") from error

    def write_settings(self, settings: CollectionSettings) -> None:
        """Replace them: whole, or not at all."""
        file = self.path / "collection.json"
        write_text(file, msgspec.json.format(msgspec.json.encode(settings)).decode() + "\n")

    def remove(self) -> None:
        """Delete the folder; from the first step on there is no such collection.

        :raises BusyError: another process has it open.
        """
        self.lock()
        with storage_errors(self.path):
            (self.path / "collection.json").unlink(missing_ok=True)
            self.unlock()
            for attempt in range(3):
                shutil.rmtree(self.path, ignore_errors=attempt < 2)
                if not self.path.exists():
                    break
                time.sleep(0.05)  # a file of the lock, still being closed
