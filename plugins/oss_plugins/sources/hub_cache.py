"""The cache of the Hugging Face hub as it lies on the disk; read without importing the library,
which costs a quarter of a second at every start.

Source: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oss.contracts.errors import ModelError
from oss.models.files import pick_gguf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FORM = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?(?::(.+))?")
SAFETENSORS = "safetensors"


@dataclass(frozen=True)
class HubRef:
    """``owner/repo[@revision][:file, quantisation or "safetensors"]``."""

    repo: str
    revision: str
    wanted: str


def parse(rest: str) -> HubRef:
    """Read a reference.

    :raises ModelError: it is not of the form.
    """
    match = _FORM.fullmatch(rest)
    if match is None:
        raise ModelError(
            f"'hf:{rest}' is not a reference to the hub",
            hint="write hf:owner/repo, hf:owner/repo:Q4_K_M or hf:owner/repo:file.gguf",
        )
    return HubRef(match[1], match[2] or "main", match[3] or "")


def cache_root() -> Path:
    """Where the hub's library keeps its files, by the variables it reads."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(os.path.expandvars(cache)).expanduser()
    if home := os.environ.get("HF_HOME"):
        return Path(os.path.expandvars(home)).expanduser() / "hub"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "huggingface" / "hub"


def repo_folder(repo: str) -> Path:
    """The folder of one repository."""
    return cache_root() / f"models--{repo.replace('/', '--')}"


def snapshots(repo: str, revision: str = "main") -> list[Path]:
    """The snapshots to look into: the revision's own first, then (for ``main``) all others,
    because a file may have been fetched before the last change of another.
    """
    folder = repo_folder(repo)
    try:
        commit = (folder / "refs" / revision).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        commit = revision
    first = folder / "snapshots" / commit
    found = [first] if first.is_dir() else []
    if revision == "main" and (folder / "snapshots").is_dir():
        others = [s for s in (folder / "snapshots").iterdir() if s.is_dir() and s != first]
        found += sorted(others, key=lambda s: s.stat().st_mtime, reverse=True)
    return found


def files_in(snapshot: Path) -> list[str]:
    """The whole files of a snapshot (a link whose blob is gone does not count), as repo paths."""
    return sorted(f.relative_to(snapshot).as_posix() for f in snapshot.rglob("*") if f.is_file())


def find_gguf(ref: HubRef) -> tuple[Path, ...]:
    """All parts of the GGUF model that ``ref`` means, or nothing."""
    for snapshot in snapshots(ref.repo, ref.revision):
        picked = pick_gguf(files_in(snapshot), "" if ref.wanted == SAFETENSORS else ref.wanted)
        parts = tuple(snapshot / name for name in picked)
        if parts and len(parts) == _announced(parts[0].name):
            return parts
    return ()


def find_weights(ref: HubRef) -> Path | None:
    """The snapshot with ``config.json`` and all its safetensors, or ``None``."""
    return next((s for s in snapshots(ref.repo, ref.revision) if weights_are_whole(s)), None)


def weights_are_whole(folder: Path) -> bool:
    """Whether every file that the weights' index names is here."""
    if not (folder / "config.json").is_file():
        return False
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = set(json.loads(index.read_bytes())["weight_map"].values())
        except (ValueError, KeyError, AttributeError):
            return False
        return all((folder / name).is_file() for name in names)
    return any(folder.glob("*.safetensors"))


def repos() -> Iterator[str]:
    """The repositories of models in the cache."""
    root = cache_root()
    for folder in sorted(root.glob("models--*--*")) if root.is_dir() else []:
        yield folder.name.removeprefix("models--").replace("--", "/", 1)


def _announced(name: str) -> int:
    match = re.search(r"-\d{5}-of-(\d{5})\.gguf$", name, re.IGNORECASE)
    return int(match[1]) if match else 1


def delete_files(repo: str, files: Iterable[Path]) -> int:
    """Delete snapshot files, and each blob that no snapshot points to any more; bytes freed."""
    folder = repo_folder(repo)
    blobs = set()
    freed = 0
    for file in files:
        if file.is_symlink():
            blobs.add(file.resolve())
        else:  # a file system without links has the bytes in the snapshot itself
            freed += file.stat().st_size
        file.unlink()
    kept = {f.resolve() for f in (folder / "snapshots").rglob("*") if f.is_symlink()}
    for blob in blobs - kept:
        freed += blob.stat().st_size
        blob.unlink()
    if not any(f.is_file() for f in (folder / "snapshots").rglob("*")):
        shutil.rmtree(folder, ignore_errors=True)
    return freed
