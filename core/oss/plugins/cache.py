"""Small facts that are dear to find again, each in a JSON file of its own."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import zlib
from typing import Any

from oss import paths

VERSION = 1


def environment() -> str:
    """A part of a file name that two Python environments do not share.

    Two programs of one environment (``oss``, a server, pytest) have different ``sys.path``, and
    must not overwrite each other's file in turn.
    """
    text = "\n".join((sys.prefix, sys.version, *sys.path))
    return f"{zlib.crc32(text.encode(errors='replace')):08x}"


class CacheFile:
    """One file under the cache folder; losing it costs time and nothing else.

    A home that cannot be written, a damaged file and two writers at once are all fine: a file
    that cannot be read is as good as none, and it is replaced whole.
    """

    def __init__(self, name: str) -> None:
        self.path = paths.cache_dir() / "plugins" / f"{name}.json"

    def read(self, key: Any) -> Any:
        """What was written under an equal ``key``, or ``None``."""
        try:
            stored = json.loads(self.path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        if isinstance(stored, dict) and stored.get("version") == VERSION:
            return stored.get("value") if stored.get("key") == key else None
        return None

    def write(self, key: Any, value: Any) -> None:
        """Replace the file; does nothing where it cannot."""
        text = json.dumps({"version": VERSION, "key": key, "value": value})
        scratch = self.path.with_suffix(f".{os.getpid()}")
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                scratch.write_text(text, encoding="utf-8")
                scratch.replace(self.path)
            except OSError:
                scratch.unlink(missing_ok=True)
