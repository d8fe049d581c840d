"""What was learnt about a model file before: facts and digest, by path, size and time of change.

Kept in the cache folder; a cache that cannot be read or written costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oss import paths
from oss.contracts.errors import StorageError
from oss.files import write_text

if TYPE_CHECKING:
    from pathlib import Path

    from oss.models.facts import ModelFacts

_FORM = 1  # raised when ModelFacts or the way it is computed changes


@dataclass(frozen=True)
class FileStamp:
    """Tells one state of a file or folder from another."""

    path: str
    size: int
    mtime_ns: int


def stamp(path: Path) -> FileStamp:
    """The stamp of a file, or of a folder's ``config.json``; of nothing where there is nothing."""
    real = path.resolve()
    try:
        state = (real / "config.json" if real.is_dir() else real).stat()
    except OSError:
        return FileStamp(str(real), -1, -1)
    return FileStamp(str(real), state.st_size, state.st_mtime_ns)


def _file(stamp: FileStamp, kind: str) -> Path:
    key = f"{_FORM}\n{stamp.path}\n{stamp.size}\n{stamp.mtime_ns}"
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return paths.cache_dir() / "models" / f"{digest}.{kind}"


def load_facts(stamp: FileStamp) -> ModelFacts | None:
    """The facts as saved, or ``None``."""
    import msgspec

    from oss.models.facts import ModelFacts

    try:
        return msgspec.json.decode(_file(stamp, "facts.json").read_bytes(), type=ModelFacts)
    except (OSError, msgspec.DecodeError):
        return None


def save_facts(stamp: FileStamp, facts: ModelFacts) -> None:
    """Remember the facts, if the cache can be written."""
    import msgspec

    _write(_file(stamp, "facts.json"), msgspec.json.encode(facts).decode())


def load_digest(stamp: FileStamp) -> str | None:
    """The sha256 as saved, or ``None``."""
    try:
        text = _file(stamp, "sha256").read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None
    return text if len(text) == 64 else None


def save_digest(stamp: FileStamp, digest: str) -> None:
    """Remember a sha256, if the cache can be written."""
    _write(_file(stamp, "sha256"), digest)


def _write(file: Path, content: str) -> None:
    with contextlib.suppress(StorageError):
        write_text(file, content)
