"""What a collection is made from: files, folders and patterns, with the rules of walking them."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from oss.contracts.errors import UsageError


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a folder is walked.

    :param exclude: patterns to leave out, in the syntax of ``.gitignore``.
    :param gitignore: whether ``.gitignore`` files are obeyed.
    :param hidden: whether names that begin with a dot are taken.
    :param follow: whether links are followed; each folder is walked once, so loops end.
    :param largest: bytes; larger files are skipped, and said to be.
    :param loaders: names of loaders by suffix, for suffixes that are not their own.
    """

    exclude: tuple[str, ...] = ()
    gitignore: bool = True
    hidden: bool = False
    follow: bool = False
    largest: int = 100 * 2**20
    loaders: dict[str, str] = {}


@dataclass(frozen=True)
class Root:
    """A file or a folder by its absolute path; ``only`` keeps what a pattern matches."""

    path: str
    only: str = ""
    rules: Rules = field(default_factory=Rules)

    def __str__(self) -> str:
        return os.path.join(self.path, self.only) if self.only else self.path  # noqa: PTH118


def parse_root(given: str, rules: Rules) -> Root:
    """A root as a person writes it: a path, or a pattern such as ``docs/**/*.md``.

    Links are kept as they are written, so that citations show the path that was given.

    :raises UsageError: there is no such path.
    """
    path = os.path.abspath(os.path.expanduser(given))  # noqa: PTH100, PTH111
    if os.path.lexists(path):
        return Root(path, "", rules)
    if not glob.has_magic(given):
        raise UsageError(f"there is no '{given}'", hint="quote patterns: 'docs/**/*.md'")
    parts = Path(path).parts
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    base = Path(*parts[:first])
    if not base.is_dir():
        raise UsageError(f"there is no folder '{base}', in '{given}'")
    return Root(str(base), "/".join(parts[first:]), rules)
