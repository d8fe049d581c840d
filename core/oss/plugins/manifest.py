"""The manifest: which plugin distributions the user installed, so that they can be again.

``<config>/plugins.toml``; an upgrade of oss that makes a new environment (pipx, uv tool) does
not touch it.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oss import paths
from oss.contracts.errors import BusyError, ConfigError, StorageError
from oss.files import write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import tomlkit

HEAD = "What `oss plugins install` installed; `oss plugins sync` installs it again."


@dataclass(frozen=True)
class Entry:
    """One distribution.

    :param requirement: what pip is given: a requirement, a URL or an absolute path.
    :param plugins: the names of its plugins when it was installed.
    """

    distribution: str
    requirement: str
    editable: bool = False
    plugins: tuple[str, ...] = ()


def manifest_path() -> Path:
    """Where the manifest is."""
    return paths.config_dir() / "plugins.toml"


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Keep every other process from changing the manifest.

    :raises BusyError: another process has held it for ten seconds.
    :raises StorageError: the folder cannot be written.
    """
    import filelock

    path = manifest_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path.with_name("plugins.toml.lock"))
        lock.acquire(timeout=10)
    except filelock.Timeout:
        raise BusyError(
            f"another oss is installing plugins ({path} is locked)", hint="wait until it is done"
        ) from None
    except OSError as error:
        raise StorageError(
            f"{path.parent} cannot be written: {error.strerror}",
            hint="set OSS_HOME to a folder that can",
        ) from error
    try:
        yield
    finally:
        lock.release()


def read() -> list[Entry]:
    """The entries, in the order of the file; none where there is no file.

    :raises ConfigError: the file is not a manifest.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    path = manifest_path()
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path} is not TOML: {error}", hint="mend the line, or delete the file"
        ) from error
    import msgspec

    try:
        return msgspec.convert(table.get("plugin", []), list[Entry])
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{path}: {error}", hint="an entry is: [[plugin]] with distribution and requirement"
        ) from error


def add(entries: Iterable[Entry]) -> None:
    """Add entries, or put them in place of those of the same distribution. Hold :func:`locked`."""
    import tomlkit

    document, tables = _document()
    for entry in entries:
        table = next((t for t in tables if _is(t, entry.distribution)), None)
        if table is None:
            table = tomlkit.table()
            tables.append(table)
        table["distribution"] = entry.distribution
        table["requirement"] = entry.requirement
        table.pop("editable", None)
        if entry.editable:
            table["editable"] = True
        table["plugins"] = list(entry.plugins)
    write_text(manifest_path(), tomlkit.dumps(document))


def remove(distribution: str) -> bool:
    """Forget a distribution; whether it was there. Hold :func:`locked`."""
    import tomlkit

    document, tables = _document()
    places = [place for place, table in enumerate(tables) if _is(table, distribution)]
    for place in reversed(places):
        del tables[place]
    if places:
        write_text(manifest_path(), tomlkit.dumps(document))
    return bool(places)


def _is(table: Any, distribution: str) -> bool:
    return normal(table["distribution"]) == normal(distribution)


def _document() -> tuple[tomlkit.TOMLDocument, Any]:
    """The file with its comments, and its array of tables; both new where there is none."""
    import tomlkit

    read()  # says what is wrong with the file
    try:
        document = tomlkit.parse(manifest_path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        document = tomlkit.document()
        document.add(tomlkit.comment(HEAD))
    if not document.get("plugin"):
        document["plugin"] = tomlkit.aot()
    return document, document["plugin"]


def normal(name: str) -> str:
    """A distribution's name in the form by which two spellings are the same (PEP 503)."""
    import re

    return re.sub(r"[-_.]+", "-", name).lower()
