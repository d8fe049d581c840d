"""Writes small text files whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from oss.contracts.errors import StorageError


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
