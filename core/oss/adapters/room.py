"""Tells a full disk from other faults: each library says it in its own words, or not at all."""

from __future__ import annotations

import errno
import shutil
from typing import TYPE_CHECKING

from oss.contracts.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

_WORDS = ("No space left on device", "os error 28")
_LEAST = 1 << 16
"""Bytes free, below which a write that failed is put down to the disk."""


def full_disk(error: BaseException, folder: Path, hint: str) -> StorageError | None:
    """The error to show where ``error`` came of a full disk, else nothing.

    torch speaks of an 'unexpected pos' and numpy of items requested and written, so that the disk
    itself is asked.
    """
    said = getattr(error, "errno", None) == errno.ENOSPC
    said = said or any(word in str(error) for word in _WORDS)
    if not said and shutil.disk_usage(folder).free >= _LEAST:
        return None
    return StorageError(f"the disk with {folder} is full", hint=hint)
