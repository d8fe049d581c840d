"""What a disk refuses, in our words; and small text files, written whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from oss.contracts.errors import OssError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

RESUME_HINT = "what arrived is kept: run the same command again to go on from there"


@contextmanager
def storage_errors(target: Path) -> Iterator[None]:
    """Turn a full, read-only or forbidden disk into an error that says so.

    :raises StorageError: naming ``target``.
    """
    try:
        yield
    except OssError:  # one of ours may be an OSError too
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageError(
                f"the disk is full at {target}", hint=f"make room; {RESUME_HINT}"
            ) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR):
            raise StorageError(
                f"{error.filename or target} cannot be written: {error.strerror}",
                hint="set OSS_HOME (for the hub HF_HOME) to a folder of yours",
            ) from error
        raise


def write_text(path: Path, text: str) -> None:
    """Replace the file's content in one step; folders are made.

    A reader sees the old text or the new one, also after a crash. The file keeps its permissions;
    a symbolic link keeps pointing where it does, and what it points to is replaced.

    :raises StorageError: read-only, full, or not a folder; names the path.
    """
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    temporary: str | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.stem[:40]}-", suffix=".tmp"
        )
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        mode = target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask()
        Path(temporary).chmod(mode)
        Path(temporary).replace(target)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}",
            hint="check permissions and free space, or set OSS_HOME to a folder of yours",
        ) from error


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
