"""Where personas are looked for, and which exist."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from oss.contracts.errors import ConfigError
from oss.contracts.persona import Persona
from oss.persona.file import SUFFIXES, check_file, read_persona
from oss.profile.find import same_name, search_path
from oss.profile.toml_file import show_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oss.plugins.manager import Plugins


@dataclass(frozen=True)
class FoundPersona:
    """A persona's name, and its file or the plugin that offers it.

    :param place: ``project``, ``user``, ``shipped``, ``path`` or ``plugin NAME``.
    """

    name: str
    place: str
    path: Path | None = None
    offered_summary: str = ""

    @cached_property
    def summary(self) -> str:
        """One line on what it is.

        :raises ConfigError: its file cannot be read.
        """
        if self.path is None:
            return self.offered_summary
        return str(check_file(self.path)[0].data.get("summary", ""))


def list_personas(plugins: Plugins) -> list[FoundPersona]:
    """Every persona by name, the nearest of each name; files win over plugins."""
    found: dict[str, FoundPersona] = {}
    for candidate in _candidates(plugins):
        found.setdefault(candidate.name, candidate)
    return sorted(found.values(), key=lambda persona: persona.name)


def locate_persona(name_or_path: str, plugins: Plugins) -> FoundPersona:
    """Which file or plugin a name or path means.

    :raises ConfigError: none; the hint has the nearest name.
    """
    if is_path(name_or_path):
        path = Path(name_or_path).expanduser().absolute()
        if not path.exists():
            raise ConfigError(
                f"persona file {show_path(path)} does not exist", hint="check the path"
            )
        return FoundPersona(same_name(path.stem), "path", path)
    wanted = same_name(name_or_path)
    known: dict[str, None] = {}
    for candidate in _candidates(plugins):
        if candidate.name == wanted:
            return candidate
        known[candidate.name] = None
    near = difflib.get_close_matches(wanted, known, 1)
    raise ConfigError(
        f"unknown persona '{name_or_path}'",
        hint=f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(known))}",
    )


def find_persona(name_or_path: str, plugins: Plugins) -> Persona:
    """The persona of a name or path.

    :raises ConfigError: unknown, or its file is broken.
    """
    return load_persona(locate_persona(name_or_path, plugins), plugins)


def load_persona(found: FoundPersona, plugins: Plugins) -> Persona:
    """Read the file, or import from the plugin.

    :raises ConfigError: the file is broken, or the plugin offers something else.
    """
    if found.path is not None:
        return read_persona(found.path)
    persona = plugins.load("personas", found.name)
    if not isinstance(persona, Persona):
        raise ConfigError(
            f"{found.place} offers '{found.name}', which is {type(persona).__name__}, no Persona",
            hint="tell the plugin's author",
        )
    return persona


def is_path(text: str) -> bool:
    """Whether the user gave a file, not a name."""
    return text.endswith(SUFFIXES) or "/" in text or text.startswith(("~", ".\\"))


def _candidates(plugins: Plugins) -> Iterator[FoundPersona]:
    for folder, place in search_path("personas"):
        try:
            files = sorted(p for p in folder.iterdir() if p.suffix in SUFFIXES)
        except OSError:  # absent, or it cannot be listed
            continue
        for path in files:
            if not path.name.startswith("."):
                yield FoundPersona(same_name(path.stem), place, path)
    for name, offer in plugins.offers("personas").items():
        yield FoundPersona(
            same_name(name), f"plugin {offer.plugin}", None, offer.descriptor.summary
        )
