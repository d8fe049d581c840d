"""Finds the files of a root. What costs time for every file of a large tree is kept small here:
one ``stat`` each, and patterns only where there are any.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oss.retrieval.indexing.ignoring import (
    GITIGNORE,
    Layer,
    ignored,
    layer_of,
    layers_above,
    patterns,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oss.retrieval.indexing.roots import Root, Rules

_TYPE = 0o170000  # the bits that stat.S_IFMT keeps
_REGULAR = stat.S_IFREG


@dataclass
class Found:
    """Files, and what could not be looked at.

    :ivar files: absolute path to size and time of change, in nanoseconds.
    :ivar named: those that were named themselves, not found in a folder, and their rules.
    :ivar folders: the roots that were walked.
    :ivar faults: folders that cannot be read, roots that are not there, to the reason. What was
        known below them is neither there nor gone.
    """

    files: dict[str, tuple[int, int]] = field(default_factory=dict)
    named: dict[str, Rules] = field(default_factory=dict)
    folders: list[Root] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)

    def rules_of(self, path: str) -> Rules:
        """Those of the first root that has it."""
        if path in self.named:
            return self.named[path]
        return next(r.rules for r in self.folders if path.startswith(r.path.rstrip(os.sep)))

    def may_have(self, path: str) -> bool:
        """Whether a path lies under what could not be looked at."""
        return any(
            path == fault or path.startswith(fault.rstrip(os.sep) + os.sep) for fault in self.faults
        )


def find_files(roots: Iterable[Root]) -> Found:
    """All files of all roots; one found twice counts for the first."""
    found = Found()
    for root in roots:
        try:
            info = os.stat(root.path)  # noqa: PTH116
        except OSError as error:
            found.faults[root.path] = reason(error)
            continue
        if stat.S_ISDIR(info.st_mode):
            files = _walk(root, found.faults)
            found.folders.append(root)
        elif stat.S_ISREG(info.st_mode):
            files = {root.path: (info.st_size, info.st_mtime_ns)}
            found.named.setdefault(root.path, root.rules)
        else:
            found.faults[root.path] = "is no file: a device, a pipe or a socket"
            continue
        if found.files:
            files.update(found.files)
        found.files = files
    return found


def reason(error: OSError) -> str:
    """Why the system did not let it be read, in lower case as the other reasons are."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


def _walk(root: Root, faults: dict[str, str]) -> dict[str, tuple[int, int]]:
    rules = root.rules
    follow, hidden = rules.follow, rules.hidden
    start: tuple[Layer, ...] = layers_above(root.path) if rules.gitignore else ()
    last = (patterns(root.path, rules.exclude),) if rules.exclude else ()
    only = patterns(root.path, [f"/{root.only}"]) if root.only else None
    files: dict[str, tuple[int, int]] = {}
    visited: set[tuple[int, int]] = set()
    waiting = [(root.path, start)]
    while waiting:
        folder, layers = waiting.pop()
        try:
            with os.scandir(folder) as scan:
                entries = list(scan)
            if rules.follow:
                info = os.stat(folder)  # noqa: PTH116
                if (info.st_dev, info.st_ino) in visited:
                    continue
                visited.add((info.st_dev, info.st_ino))
        except OSError as error:
            faults[folder] = reason(error)
            continue
        names = [entry.name for entry in entries]
        if rules.gitignore and GITIGNORE in names and (own := layer_of(folder)):
            layers = (*layers, own)
        both = (*layers, *last)
        for name, entry in zip(names, entries, strict=True):
            if name[0] == "." and (name == ".git" or not hidden):
                continue
            try:
                if entry.is_dir(follow_symlinks=follow):
                    if not (both and ignored(entry.path + os.sep, both)):
                        waiting.append((entry.path, layers))
                    continue
                if (both and ignored(entry.path, both)) or (only and not only.says(entry.path)):
                    continue
                info = entry.stat(follow_symlinks=follow)
            except OSError as error:
                faults[entry.path] = reason(error)
                continue
            if info.st_mode & _TYPE == _REGULAR:
                files[entry.path] = (info.st_size, info.st_mtime_ns)
    return files
