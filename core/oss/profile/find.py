"""Where profiles are looked for, and which exist."""

from __future__ import annotations

import difflib
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from oss import paths
from oss.contracts.errors import ConfigError
from oss.profile.toml_file import read_toml, show_path

if TYPE_CHECKING:
    from collections.abc import Iterator

Place = Literal["project", "user", "shipped", "path"]


@dataclass(frozen=True)
class FoundProfile:
    """A profile's file. ``place`` says whose it is; ``shadows`` are farther ones of its name."""

    name: str
    path: Path
    place: Place
    shadows: tuple[Path, ...] = ()

    @cached_property
    def description(self) -> str:
        """The file's own ``description``, or an empty text.

        :raises ConfigError: the file cannot be read.
        """
        return str(read_toml(self.path).data.get("description", ""))


def shipped_dir(kind: str) -> Path:
    """The folder of the ``profiles`` or ``personas`` that ship."""
    import oss_profiles

    return Path(oss_profiles.__file__).parent / kind


def search_path(kind: str = "profiles") -> list[tuple[Path, Place]]:
    """Folders in which ``profiles`` (or ``personas``) are looked for, nearest first."""
    nearest: list[tuple[Path, Place]] = [(d / kind, "project") for d in paths.project_dirs()]
    return [*nearest, (paths.config_dir() / kind, "user"), (shipped_dir(kind), "shipped")]


def same_name(text: str) -> str:
    """The form in which names are compared: macOS decomposes letters such as 'й' in file names."""
    return unicodedata.normalize("NFC", text)


def is_path(name: str) -> bool:
    """Whether the user gave a file, not a name."""
    return name.endswith(".toml") or name.startswith(("./", "../", "~", "/", ".\\")) or "/" in name


def list_profiles() -> list[FoundProfile]:
    """Every profile, by name; the nearest file of each name, the others as its ``shadows``."""
    found: dict[str, list[tuple[Path, Place]]] = {}
    for folder, place in search_path():
        for path in _toml_files(folder):
            found.setdefault(same_name(path.stem), []).append((path, place))
    return [
        FoundProfile(name, files[0][0], files[0][1], tuple(path for path, _ in files[1:]))
        for name, files in sorted(found.items())
    ]


def find_profile(name: str, *, beyond: Path | None = None) -> FoundProfile:
    """The file of a name or path.

    :param beyond: a folder of the search path; only farther ones are looked in.
    :raises ConfigError: no such profile; the hint has the nearest name.
    """
    if is_path(name):
        path = Path(name).expanduser().absolute()
        if not path.exists():
            raise ConfigError(
                f"profile file {show_path(path)} does not exist", hint="check the path"
            )
        return FoundProfile(same_name(path.stem), path, "path")
    folders = search_path()
    if beyond is not None:
        places = [folder for folder, _ in folders]
        folders = folders[places.index(beyond) + 1 :] if beyond in places else folders
    wanted = same_name(name)
    for folder, place in folders:
        for path in _toml_files(folder):
            if same_name(path.stem) == wanted:
                return FoundProfile(wanted, path, place)
    known = [profile.name for profile in list_profiles()]
    near = difflib.get_close_matches(wanted, known, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
    if beyond is not None:
        raise ConfigError(
            f"no profile '{name}' beyond {show_path(beyond)}",
            hint="a profile extends one of its own name only where a farther folder has it",
        )
    raise ConfigError(f"unknown profile '{name}'", hint=hint)


def default_name() -> str:
    """``default_profile`` of the user's ``settings.toml``, else ``base``.

    :raises ConfigError: the file is broken, or the value is no text.
    """
    path = paths.config_dir() / "settings.toml"
    if not path.is_file():
        return "base"
    file = read_toml(path)
    name = file.data.get("default_profile", "base")
    if not isinstance(name, str):
        raise ConfigError(
            f"{show_path(path)}:{file.line(['default_profile'])}: default_profile: "
            f"expected a profile's name, got {name!r}",
            hint='write default_profile = "coder"',
        )
    return name


def _toml_files(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(p for p in folder.glob("*.toml") if not p.name.startswith("."))
    except OSError:  # a folder that cannot be listed offers nothing
        return
