"""``.gitignore`` files and patterns to leave out, as git reads them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oss.retrieval.extras import needs_extra

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pathspec import GitIgnoreSpec

GITIGNORE = ".gitignore"


@dataclass(frozen=True)
class Layer:
    """Patterns that hold under ``base``, which ends with a separator."""

    base: str
    spec: GitIgnoreSpec

    def says(self, path: str) -> bool | None:
        """Whether to leave out; ``None`` where no pattern speaks of it."""
        relative = path[len(self.base) :].replace(os.sep, "/")
        return self.spec.check_file(relative).include


def patterns(base: str, lines: Iterable[str]) -> Layer:
    """A layer of patterns in the syntax of ``.gitignore``."""
    with needs_extra("retrieval"):
        from pathspec import GitIgnoreSpec
    return Layer(base.rstrip(os.sep) + os.sep, GitIgnoreSpec.from_lines(lines))


def layer_of(folder: str) -> Layer | None:
    """The patterns of a folder's own ``.gitignore``; one that cannot be read says nothing."""
    try:
        with open(os.path.join(folder, GITIGNORE), encoding="utf-8", errors="replace") as file:  # noqa: PTH118, PTH123  one of a million
            return patterns(folder, file)
    except OSError:
        return None


def layers_above(folder: str) -> tuple[Layer, ...]:
    """Those of the folders around it, up to the root of its repository, outermost first; none
    outside a repository.
    """
    above: list[str] = []
    while not os.path.exists(os.path.join(folder, ".git")):  # noqa: PTH110, PTH118
        parent = os.path.dirname(folder)  # noqa: PTH120
        if parent == folder:
            return ()
        above.append(parent)
        folder = parent
    return tuple(layer for parent in reversed(above) if (layer := layer_of(parent)))


def ignored(path: str, layers: tuple[Layer, ...]) -> bool:
    """Whether the innermost layer that speaks of a path leaves it out. A folder's path ends with
    a separator.
    """
    for layer in reversed(layers):
        said = layer.says(path)
        if said is not None:
            return said
    return False
