"""Reads one file into chunks, or says why not."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oss.contracts.errors import OssError, UsageError
from oss.retrieval.chunking import pack
from oss.retrieval.indexing.manifest import Row
from oss.retrieval.indexing.walking import reason
from oss.retrieval.writing import ChunkedDocument

if TYPE_CHECKING:
    from oss.contracts.loader import Loader
    from oss.plugins.manager import Plugins
    from oss.retrieval.indexing.roots import Rules

PLAIN = "text"
"""The loader for files that were named themselves and have a suffix that no loader reads."""
_FRESH_NS = 2_000_000_000
"""A file changed this shortly before it was read may change again without its time showing it."""


@dataclass(frozen=True)
class Read:
    """What became of a file.

    :param document: its chunks; ``None`` where it is as it was, or is not read.
    :param passing: it could not be looked at just now (no permission, gone meanwhile): it has no
        row, what is known of it stays, and the next run tries again.
    """

    row: Row
    document: ChunkedDocument | None = None
    passing: bool = False


class Reader:
    """Finds the loader of a file by its suffix, and cuts what it gives.

    Methods may be called from any thread, by one at a time.

    :param words: per chunk.
    """

    def __init__(self, plugins: Plugins, words: int) -> None:
        self._plugins = plugins
        self._words = words
        self._loaders: dict[str, Loader] = {}
        self._by_suffix: dict[str, str] = {}
        for name, offer in plugins.offers("loaders").items():
            for suffix in offer.descriptor.capabilities:
                self._by_suffix.setdefault(suffix, name)

    def loader_name(self, path: str, rules: Rules, *, named: bool = False) -> str:
        """Who reads this file; nothing where no loader does.

        :param named: the file itself was named, so it is meant to be read.
        """
        suffix = suffix_of(path)
        name = rules.loaders.get(suffix) or self._by_suffix.get(suffix, "")
        return name or (PLAIN if named else "")

    def check(self, rules: Rules) -> None:
        """See that the loaders that rules name are there.

        :raises ConfigError: one is not.
        """
        for name in rules.loaders.values():
            self._plugins.find("loaders", name)

    def read(
        self,
        path: str,
        size: int,
        mtime: int,
        rules: Rules,
        *,
        named: bool = False,
        before: Row | None = None,
    ) -> Read:
        """Read a file.

        :param before: how it was read last; where the content is the same, it is not cut again.
        :raises ConfigError: its loader is not installed.
        """
        row = Row(path, size, mtime)
        loader = self.loader_name(path, rules, named=named)
        if not loader:
            return Read(row)
        row = row._replace(loader=loader)
        if size > rules.largest:
            why = f"is larger than {rules.largest / 2**20:g} MB (--max-size)"
            return Read(row._replace(fault=why))
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                data = file.read(rules.largest + 1)
        except OSError as error:
            return Read(row._replace(fault=reason(error)), passing=True)
        if time.time_ns() - mtime < _FRESH_NS:
            row = row._replace(mtime=0)
        row = row._replace(sha256=hashlib.sha256(data).hexdigest())
        if before and (before.sha256, before.loader) == (row.sha256, row.loader):
            return Read(row._replace(chunks=before.chunks, fault=before.fault))
        try:
            document = self.cut(data, path, loader)
        except UsageError as error:
            return Read(row._replace(fault=error.message))
        return Read(row._replace(chunks=len(document.chunks)), document)

    def cut(self, data: bytes, source: str, loader: str) -> ChunkedDocument:
        """The chunks of a file's content.

        :raises UsageError: it cannot be read as what it says it is.
        :raises ConfigError: the loader is not installed.
        """
        if loader not in self._loaders:
            self._loaders[loader] = self._plugins.load("loaders", loader)()
        try:
            loaded = self._loaders[loader].load(data, os.path.basename(source))  # noqa: PTH119
        except OssError:
            raise
        except Exception as error:
            # A loader meets files that no one foresaw; one of them must not end the whole run.
            text = " ".join(str(error).split())
            raise UsageError(
                f"could not be read by loader '{loader}': {type(error).__name__}: {text}"
            ) from error
        metadata = {"format": suffix_of(source).lstrip(".") or loader, **loaded.metadata}
        return ChunkedDocument(source, pack(loaded.blocks, self._words), metadata)


def suffix_of(path: str) -> str:
    """In lower case, with its dot."""
    return os.path.splitext(path)[1].lower()  # noqa: PTH122
