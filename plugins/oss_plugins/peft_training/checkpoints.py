"""Checkpoints that are whole: a killed process leaves none that is half written."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_MARK = "oss-whole.json"


def mark_whole(folder: Path, settled: str) -> None:
    """Write the mark, last of all, with the size of each file.

    :param settled: digest of what must not change between the parts of one run.
    """
    sizes = {file.name: file.stat().st_size for file in folder.iterdir() if file.is_file()}
    mark = folder / f"{_MARK}.part"
    mark.write_text(json.dumps({"settled": settled, "sizes": sizes}), "utf-8")
    mark.replace(folder / _MARK)


def whole_checkpoints(work: Path) -> list[Path]:
    """Checkpoints that can be resumed from, last first."""
    found = []
    for folder in work.glob("checkpoint-*"):
        try:
            sizes = json.loads((folder / _MARK).read_text("utf-8"))["sizes"]
        except (OSError, ValueError, KeyError):
            continue
        if all(
            (folder / name).is_file() and (folder / name).stat().st_size == size
            for name, size in sizes.items()
        ):
            found.append(folder)
    return sorted(found, key=step_of, reverse=True)


def step_of(folder: Path) -> int:
    """The step that a checkpoint was taken after."""
    number = folder.name.rpartition("-")[2]
    return int(number) if number.isdigit() else -1


def settled_of(folder: Path) -> str:
    """The digest that the checkpoint was made under."""
    return str(json.loads((folder / _MARK).read_text("utf-8"))["settled"])


def clear_checkpoints(work: Path) -> None:
    """Remove every checkpoint; called when a run is finished or begun anew."""
    for folder in work.glob("checkpoint-*"):
        shutil.rmtree(folder)


def digest_of(*parts: object) -> str:
    """A short digest of values that print the same when they are the same."""
    text = "\n".join(map(repr, parts))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
