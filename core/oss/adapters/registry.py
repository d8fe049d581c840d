"""Adapters under the data folder, one folder each, never half written."""

from __future__ import annotations

import contextlib
import difflib
import glob
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oss.adapters.card import CARD, GGUF, Card, read_card, write_card
from oss.adapters.room import full_disk
from oss.contracts.errors import ModelError, StorageError, UsageError
from oss.paths import data_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NAME = re.compile(r"\w[\w.+-]{0,99}")


@dataclass(frozen=True)
class Adapter:
    """An adapter here: its name, folder and card."""

    name: str
    folder: Path
    card: Card

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    @property
    def gguf(self) -> Path | None:
        """Its GGUF form, if it was exported."""
        path = self.folder / GGUF
        return path if path.is_file() else None


def adapters_dir() -> Path:
    """Where adapters lie."""
    return data_dir() / "adapters"


def training_dir(name: str) -> Path:
    """Where the checkpoints of a training run lie until it is finished."""
    return data_dir() / "training" / name


def check_name(name: str) -> str:
    """The name, if it can be one.

    :raises UsageError: it could name another folder, or a hidden one.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' cannot be the name of an adapter", hint="letters, digits, '-', '_', '.', '+'"
        )
    return name


def list_adapters() -> list[Adapter]:
    """Every adapter with a readable card, by name."""
    found = []
    for card in sorted(adapters_dir().glob(f"*/{CARD}")):
        folder = card.parent
        if folder.name.startswith("."):
            continue
        with contextlib.suppress(ModelError):
            found.append(Adapter(folder.name, folder, read_card(folder)))
    return found


def find_adapter(name: str) -> Adapter:
    """The adapter of a name, or of a folder with a card.

    :raises ModelError: there is none, or its card is damaged.
    """
    folder = adapters_dir() / name if _NAME.fullmatch(name) else Path(name).expanduser()
    if folder.is_dir():
        return Adapter(folder.name, folder, read_card(folder))
    known = [adapter.name for adapter in list_adapters()]
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"here: {', '.join(known) or 'none'}"
    raise ModelError(f"there is no adapter '{name}'", hint=hint)


@contextlib.contextmanager
def staged(
    name: str, *, replace: bool = False, full_hint: str = "make room; nothing was changed"
) -> Iterator[tuple[Path, Callable[[Card], Adapter]]]:
    """A folder to write an adapter into, and what puts it in its place, card last.

    Nothing is seen under the name before it is whole; when the block ends otherwise, what was
    written is removed. An adapter that is replaced goes only when its successor is whole.

    :param full_hint: what to do when the disk is full.
    :raises UsageError: the name is taken and ``replace`` is false.
    :raises StorageError: the folder cannot be written.
    """
    target = adapters_dir() / check_name(name)
    _put_back(target)
    if target.exists() and not replace:
        raise UsageError(
            f"there is an adapter '{name}' already",
            hint="give another --name, or --replace it",
        )
    try:
        adapters_dir().mkdir(parents=True, exist_ok=True)
        for left in adapters_dir().glob(f".{glob.escape(name)}.????????"):
            shutil.rmtree(left, ignore_errors=True)  # by a process that was killed
        staging = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=adapters_dir()))
    except OSError as error:
        raise StorageError(f"{adapters_dir()} cannot be written: {error.strerror}") from error

    def finish(card: Card) -> Adapter:
        complete = write_card(staging, card)
        for path in staging.rglob("*"):
            if path.is_file():
                _sync(path)
        staging.chmod(0o755)
        old = staging.with_name(f"{staging.name}.old")
        if target.exists():
            target.rename(old)
        staging.rename(target)
        _sync(adapters_dir())
        shutil.rmtree(old, ignore_errors=True)
        return Adapter(name, target, complete)

    try:
        yield staging, finish
    except (OSError, RuntimeError) as error:
        if full := full_disk(error, adapters_dir(), full_hint):
            raise full from error
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _put_back(target: Path) -> None:
    """The adapter that a process was replacing when it was killed between two renames."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.????????.old"):
        if target.exists():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.rename(target)


def remove_adapter(name: str) -> int:
    """Delete an adapter and the checkpoints of its training; the bytes freed.

    :raises ModelError: there is none.
    """
    adapter = find_adapter(check_name(name))
    freed = adapter.size
    gone = adapter.folder.with_name(f".{name}.gone")
    adapter.folder.rename(gone)
    shutil.rmtree(gone)
    shutil.rmtree(training_dir(name), ignore_errors=True)
    return freed


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
