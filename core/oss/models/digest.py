"""Digests of model files: what an adapter was trained for, what a pull must bring."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from oss.contracts.errors import ModelError
from oss.models import cached
from oss.models.files import gguf_parts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from oss.contracts.model import LocalModel

_BLOCK = 1 << 20
_NAMED = re.compile(r"(?:sha256-)?([0-9a-f]{64})")


class ChecksumError(ModelError):
    """A file is not the one it should be."""


def weights_hash(model: LocalModel) -> str:
    """The sha256 of a model's weights; an adapter names its base by this.

    Of one file: its own sha256. Of several (parts, safetensors): the sha256 of their sha256s in
    the order of their names. Remembered by path, size and time of change.

    :raises ModelError: the model has no files here (``remote``), or one cannot be read.
    """
    if model.path is None:
        raise ModelError(f"model '{model.name}' has no weights on this machine")
    if model.path.is_dir():
        files = sorted(model.path.glob("*.safetensors"))
        if not files:
            raise ModelError(f"{model.path} has no .safetensors files")
    else:
        files = gguf_parts(model.path)
    digests = [file_sha256(file) for file in files]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode("ascii")).hexdigest()


def file_sha256(file: Path, seen: Callable[[int], None] | None = None) -> str:
    """The sha256 of one file, from the cache where it is known.

    Files in the stores of the Hugging Face hub and of Ollama are named by their sha256, which
    both check when they fetch; the name is taken at its word.

    :param seen: told the bytes read so far.
    :raises ModelError: the file cannot be read.
    """
    real = file.resolve()
    if real.parent.name == "blobs" and (named := _NAMED.fullmatch(real.name)):
        return named[1]
    stamp = cached.stamp(real)
    if known := cached.load_digest(stamp):
        return known
    digest = read_sha256(real, seen)
    cached.save_digest(stamp, digest)
    return digest


def read_sha256(file: Path, seen: Callable[[int], None] | None = None) -> str:
    """The sha256 of the bytes as they are on the disk now.

    :raises ModelError: the file cannot be read.
    """
    digest, count = hashlib.sha256(), 0
    try:
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                count += len(block)
                if seen:
                    seen(count)
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def check_digest(file: Path, sha256: str) -> None:
    """Compare a file with the digest it must have.

    :raises ModelError: it differs.
    """
    found = read_sha256(file)
    if found != sha256:
        raise wrong_digest(str(file), sha256, found)


def wrong_digest(what: str, wanted: str, found: str) -> ChecksumError:
    """The error for a checksum that differs."""
    return ChecksumError(
        f"the checksum of {what} differs: expected sha256 {wanted[:12]}..., got {found[:12]}...",
        hint="nothing was kept; run the same command again, and tell the publisher if it persists",
    )
