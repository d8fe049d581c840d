"""Finds plugins by entry-point metadata; imports none of them.

``importlib.metadata`` reads every installed distribution, which costs more than the rest of
``oss --help``. Its answer is kept in a file under the cache folder, with what it was made from:
the folders of ``sys.path`` and when each last changed. Installing or removing a distribution
changes its folder.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any, NamedTuple

from oss.contracts.errors import ConfigError
from oss.plugins.cache import CacheFile, environment

GROUP = "oss.v1"
CORE = "oss-workbench"


class EntryPoint(NamedTuple):
    """A plugin as its distribution's metadata names it."""

    name: str
    value: str
    distribution: str
    version: str

    def load(self) -> Any:
        """Import the plugin's module (or the attribute behind a colon)."""
        module, _, attribute = self.value.partition(":")
        plugin = import_module(module)
        return getattr(plugin, attribute) if attribute else plugin


def find_entry_points() -> list[EntryPoint]:
    """All plugins, those of this distribution first, then by name."""
    file = CacheFile(f"entry-points-{environment()}")
    key = path_state()  # before reading: a change from now on makes another key
    cached = file.read(key)
    if isinstance(cached, list):
        try:
            return [EntryPoint(*map(_text, row)) for row in cached]
        except (TypeError, ValueError):
            pass  # not our file, or a damaged one; it is written anew below
    found = _read_metadata()
    file.write(key, found)
    return found


def select(found: list[EntryPoint]) -> list[EntryPoint]:
    """Those that ``OSS_PLUGINS`` names (comma separated, in its order); all where it is not set.

    :raises ConfigError: it names a plugin that is not installed.
    """
    selection = os.environ.get("OSS_PLUGINS")
    if selection is None:
        return found
    wanted = [name.strip() for name in selection.split(",") if name.strip()]
    known = {entry_point.name for entry_point in found}
    if missing := [name for name in wanted if name not in known]:
        raise ConfigError(
            f"OSS_PLUGINS names '{missing[0]}', which is not installed",
            hint=f"installed: {', '.join(sorted(known)) or 'none'}",
        )
    return [e for name in dict.fromkeys(wanted) for e in found if e.name == name]


def path_state() -> list[list[str | int]]:
    """Each folder of ``sys.path`` with the time of its last change in nanoseconds; 0: absent."""
    state: list[list[str | int]] = []
    for entry in sys.path:
        folder = os.path.abspath(entry)  # noqa: PTH100  as below: pathlib costs start-up here
        try:
            changed = os.stat(folder).st_mtime_ns  # noqa: PTH116
        except OSError:
            changed = 0
        state.append([folder, changed])
    return state


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _read_metadata() -> list[EntryPoint]:
    from importlib.metadata import entry_points

    found = []
    for entry_point in entry_points(group=GROUP):
        name = entry_point.dist.name if entry_point.dist else "unknown"
        version = entry_point.dist.version if entry_point.dist else ""
        found.append(EntryPoint(entry_point.name, entry_point.value, name, version))
    return sorted(found, key=lambda e: (e.distribution != CORE, e.name, e.distribution))
