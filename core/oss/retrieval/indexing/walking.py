"""Finds the files of a root. What costs time for every file of a large tree is kept small here:
one ``stat`` each, and patterns only where there are any.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
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
    from collections.abc import Iterable, Iterator

    from oss.retrieval.indexing.roots import Root, Rules


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
            files = _Walk(root, found.faults).run()
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


class _Walk:
    """One root, folder by folder."""

    def __init__(self, root: Root, faults: dict[str, str]) -> None:
        rules = root.rules
        self.rules = rules
        self.faults = faults
        self.files: dict[str, tuple[int, int]] = {}
        self._last = (patterns(root.path, rules.exclude),) if rules.exclude else ()
        self._only = patterns(root.path, [f"/{root.only}"]) if root.only else None
        self._visited: set[tuple[int, int]] = set()
        start: tuple[Layer, ...] = layers_above(root.path) if rules.gitignore else ()
        self._waiting = [(root.path, start)]

    def run(self) -> dict[str, tuple[int, int]]:
        """The files."""
        while self._waiting:
            folder, layers = self._waiting.pop()
            try:
                with _opened(folder) as handle:
                    self._look(folder, handle, layers)
            except OSError as error:
                self.faults[folder] = reason(error)
        return self.files

    def _look(self, folder: str, handle: int | str, layers: tuple[Layer, ...]) -> None:
        rules = self.rules
        follow, hidden = rules.follow, rules.hidden
        if follow:
            info = os.stat(handle)  # noqa: PTH116  it may be a handle
            if (info.st_dev, info.st_ino) in self._visited:
                return
            self._visited.add((info.st_dev, info.st_ino))
        with os.scandir(handle) as scan:
            entries = list(scan)
        if rules.gitignore and GITIGNORE in [entry.name for entry in entries]:
            own = layer_of(folder)
            layers = (*layers, own) if own else layers
        both, only, files = (*layers, *self._last), self._only, self.files
        picky = bool(both or only)
        base = folder.rstrip(os.sep) + os.sep
        for entry in entries:
            name = entry.name
            if name[0] == "." and (name == ".git" or not hidden):
                continue
            path = base + name
            try:
                if not entry.is_file(follow_symlinks=follow):
                    if entry.is_dir(follow_symlinks=follow):
                        if not ignored(path + os.sep, both):
                            self._waiting.append((path, layers))
                        continue
                    if not (follow and entry.is_symlink()):
                        continue  # a device, a pipe, a link that is not followed
                if picky and (ignored(path, both) or (only and not only.says(path))):
                    continue
                info = entry.stat(follow_symlinks=follow)  # of a link to nothing, an error
            except OSError as error:
                self.faults[path] = reason(error)
                continue
            files[path] = (info.st_size, info.st_mtime_ns)


@contextmanager
def _opened(folder: str) -> Iterator[int | str]:
    """A handle of a folder where the system has such, else its path: below a handle files are
    looked at by their names alone, without going through the whole path for each.
    """
    if os.scandir not in os.supports_fd:
        yield folder
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield handle
    finally:
        os.close(handle)
