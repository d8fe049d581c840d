"""Finds plugins by entry-point metadata; imports none of them."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

GROUP = "oss.v1"


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
    from importlib.metadata import entry_points

    found = []
    for entry_point in entry_points(group=GROUP):
        name = entry_point.dist.name if entry_point.dist else "unknown"
        version = entry_point.dist.version if entry_point.dist else ""
        found.append(EntryPoint(entry_point.name, entry_point.value, name, version))
    return sorted(found, key=lambda e: (e.distribution != "oss-workbench", e.name))
