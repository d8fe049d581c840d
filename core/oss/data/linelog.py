"""Work in progress, kept on disk a line at a time, so that it can be stopped and gone on with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from oss.contracts.errors import BusyError, StorageError, UsageError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self


class LineLog:
    """A file whose first line says what the others belong to. Each line is on the disk before
    :meth:`append` returns; one that a crash has cut is dropped.

    :param head: one line without its end.
    :param other: what to say when the file's head is another.
    :ivar lines: those that were there, without the head.
    :raises UsageError: the file belongs to something else.
    :raises BusyError: another process writes it.
    :raises StorageError: it cannot be written.
    """

    def __init__(self, path: Path, head: bytes, other: str) -> None:
        from filelock import FileLock, Timeout

        self.path = path
        self.lines: list[bytes] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(path.with_name(f".{path.name}.lock"))
            self._lock.acquire(timeout=0)
            before = path.read_bytes() if path.exists() else b""
            whole, _, cut = before.rpartition(b"\n")
            if whole:
                first, *self.lines = whole.split(b"\n")
                if first != head:
                    self._unlock()
                    raise UsageError(other, hint=f"remove it to begin anew: {path}")
                if cut:
                    path.write_bytes(whole + b"\n")
            self._file = path.open("ab" if whole else "wb")
            if not whole:
                self.append(head)
        except Timeout:
            raise BusyError(f"{path} is written by another process") from None
        except OSError as error:
            raise _storage(path, error) from error

    def append(self, line: bytes) -> None:
        """Write one line.

        :raises StorageError: the disk is full.
        """
        try:
            self._file.write(line + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _storage(self.path, error) from error

    def remove(self) -> None:
        """The work is done: delete the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Leave the file for the next time."""
        self._file.close()
        self._unlock()

    def _unlock(self) -> None:
        from pathlib import Path

        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _storage(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot write {path}: {error.strerror or error}", hint="check permissions and free space"
    )
