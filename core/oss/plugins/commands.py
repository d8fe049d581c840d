"""The commands that plugins add, known without importing a plugin again.

``oss --help`` lists them, and must not become as slow as the slowest plugin. What the hook
``oss_commands`` answered is kept until a distribution, or a file that the answer came from,
changes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from oss.contracts.descriptors import Descriptor
from oss.plugins.cache import CacheFile, environment
from oss.plugins.discovery import find_entry_points, path_state, select
from oss.plugins.offers import Offer

if TYPE_CHECKING:
    from oss.plugins.manager import Plugins


def plugin_commands() -> dict[str, Offer]:
    """Commands by name, in order of registration.

    :raises ConfigError: ``OSS_PLUGINS`` names a plugin that is not installed.
    """
    selected = select(find_entry_points())
    file = CacheFile(f"commands-{environment()}")
    key = [path_state(), [entry_point.name for entry_point in selected]]
    known = _restore(file.read(key))
    if known is not None:
        return known
    from oss.plugins.manager import load_plugins

    plugins = load_plugins()
    offers = dict(plugins.offers("commands"))
    if not plugins.warnings:  # a warning is to be seen until its cause is mended
        rows = [[*offer.descriptor[:3], *offer[1:]] for offer in offers.values()]
        file.write(key, {"files": _origins(plugins), "commands": rows})
    return offers


def _origins(plugins: Plugins) -> dict[str, int]:
    """The files that the answers came from, with the time of their last change."""
    files = set()
    for plugin in plugins.manager.get_plugins():
        files.add(getattr(plugin, "__file__", None))
    for implementation in plugins.hook.oss_commands.get_hookimpls():
        code = getattr(implementation.function, "__code__", None)
        files.add(getattr(code, "co_filename", None))
    return {file: _changed(file) for file in files if file}


def _changed(file: str) -> int:
    try:
        return os.stat(file).st_mtime_ns  # noqa: PTH116  pathlib costs start-up here
    except OSError:
        return 0


def _restore(stored: Any) -> dict[str, Offer] | None:
    """The offers of a cache file; ``None`` where it is damaged or a file has changed."""
    try:
        if any(_changed(file) != changed for file, changed in stored["files"].items()):
            return None
        offers = {}
        for name, summary, target, plugin, distribution in stored["commands"]:
            offers[str(name)] = Offer(
                Descriptor(str(name), str(summary), str(target)), str(plugin), str(distribution)
            )
    except (TypeError, ValueError, KeyError, AttributeError):
        return None
    return offers
