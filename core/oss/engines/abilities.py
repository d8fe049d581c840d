"""What a server has turned out to be able to do, remembered between runs."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING

from oss.paths import cache_dir

if TYPE_CHECKING:
    from pathlib import Path

REMEMBERED_S = 7 * 24 * 3600
"""Servers are updated: after this long each thing is asked again."""


class Abilities:
    """Named abilities of one model on one server, in a file of the cache folder.

    A file that cannot be read or written only means that the server is asked again.

    :param path: the file; ``None`` remembers as long as the object lives.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, tuple[bool, float]] = {}
        if path is None:
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            self._known = {str(name): (bool(can), float(at)) for name, (can, at) in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            pass

    @classmethod
    def of(cls, url: str, model: str) -> Abilities:
        """Those of a model on a server."""
        digest = hashlib.sha256(f"{url}\n{model}".encode()).hexdigest()[:24]
        return cls(cache_dir() / "servers" / f"{digest}.json")

    def __getitem__(self, name: str) -> bool | None:
        """``None``: never asked, or too long ago."""
        can, at = self._known.get(name, (None, 0.0))
        return can if time.time() - at < REMEMBERED_S else None

    def __setitem__(self, name: str, can: bool) -> None:
        self._known[name] = (can, time.time())
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            aside = self._path.with_suffix(".new")
            aside.write_text(json.dumps(self._known), encoding="utf-8")
            aside.replace(self._path)
        except OSError:
            pass
