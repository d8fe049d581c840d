"""Whether an archive may be given to a library that expands it without counting."""

from __future__ import annotations

import io
import zipfile

from oss.contracts.errors import UsageError

LARGEST = 200 * 2**20
"""Bytes that an archive may expand to."""
MOST_MEMBERS = 20_000


def check_expansion(data: bytes) -> None:
    """Refuse bombs; what is no ZIP archive passes.

    Sizes are those that the archive declares: Python's own ``zipfile`` reads no member beyond
    them.

    :raises UsageError: it is damaged, holds too many files, or expands to too much.
    """
    if not data.startswith(b"PK\x03\x04"):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise UsageError(f"is a damaged archive: {error}") from error
    if len(members) > MOST_MEMBERS:
        raise UsageError(f"holds more than {MOST_MEMBERS} files: a bomb, or no document")
    if sum(member.file_size for member in members) > LARGEST:
        raise UsageError(f"expands to more than {LARGEST >> 20} MB: a bomb, or too large")
    if any(member.flag_bits & 1 for member in members):
        raise UsageError("is protected by a password")
