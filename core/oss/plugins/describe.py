"""What can be said of a plugin: from metadata alone, or by importing it."""

from __future__ import annotations

import ast
import difflib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from oss.contracts.errors import ConfigError
from oss.plugins import manifest
from oss.plugins.discovery import CORE, EntryPoint, find_entry_points, select
from oss.plugins.installer import installed
from oss.plugins.manager import Plugins
from oss.plugins.manifest import normal
from oss.plugins.offers import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oss.plugins.offers import Offer


class Row(NamedTuple):
    """A line of ``oss plugins list``."""

    name: str
    distribution: str
    version: str
    state: str
    """``built in``, ``installed``, ``off`` (not in ``OSS_PLUGINS``) or ``missing``."""
    summary: str


def rows() -> Iterator[Row]:
    """Every plugin, installed or remembered; from metadata alone."""
    about = installed()
    everything = find_entry_points()
    used = {entry_point.name for entry_point in select(everything)}
    for e in everything:
        state = "built in" if e.distribution == CORE else "installed"
        summary = _docstring(e.value.partition(":")[0])
        if not summary and normal(e.distribution) in about:
            summary = about[normal(e.distribution)].summary
        yield Row(e.name, e.distribution, e.version, state if e.name in used else "off", summary)
    for entry in manifest.read():
        if normal(entry.distribution) not in about:
            for name in entry.plugins or (entry.distribution,):
                yield Row(name, entry.distribution, "", "missing", f"from {entry.requirement}")


def _docstring(module: str) -> str:
    """The first line of a module's docstring, read from its file; nothing is imported."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return ""
    folders = list(spec.submodule_search_locations or ()) if spec else []
    files = [Path(folder, *rest, "__init__.py") for folder in folders]
    files += [Path(folder, *rest).with_suffix(".py") for folder in folders if rest]
    if spec and spec.origin and not folders:
        files.append(Path(spec.origin))
    for file in files:
        try:
            text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        except (OSError, SyntaxError, ValueError):
            continue
        return text.partition("\n")[0].replace("``", "")
    return ""


def find_plugins(name: str) -> list[EntryPoint]:
    """The plugins of that name, or of the distribution of that name.

    :raises ConfigError: there is none.
    """
    everything = find_entry_points()
    found = [e for e in everything if e.name == name]
    found = found or [e for e in everything if normal(e.distribution) == normal(name)]
    if found:
        return found
    for entry in manifest.read():
        if normal(entry.distribution) == normal(name) or name in entry.plugins:
            raise ConfigError(f"plugin '{name}' is not installed", hint="oss plugins sync")
    near = difflib.get_close_matches(name, [e.name for e in everything], 1)
    hint = f"did you mean '{near[0]}'?" if near else "oss plugins list shows what is installed"
    raise ConfigError(f"no plugin '{name}' is installed", hint=hint)


def describe(entry_point: EntryPoint) -> dict[str, Any]:
    """Everything there is to say; imports the plugin and all that it offers."""
    plugins = Plugins([entry_point])
    about = installed().get(normal(entry_point.distribution))
    offers = [
        _offer(kind, offer) for kind in get_args(Kind) for offer in plugins.offers(kind).values()
    ]
    moments = sorted(
        caller.name
        for plugin in plugins.manager.get_plugins()
        for caller in plugins.manager.get_hookcallers(plugin) or ()
        if not any(caller.name == f"oss_{kind}" for kind in get_args(Kind))
    )
    return {
        "name": entry_point.name,
        "distribution": entry_point.distribution,
        "version": entry_point.version,
        "summary": _docstring(entry_point.value.partition(":")[0]),
        "module": entry_point.value,
        "installed_from": about.url if about and about.url else "package index",
        "problem": plugins.broken.get(entry_point.name),
        "warnings": plugins.warnings,
        "offers": offers,
        "hooks": moments,
    }


def _offer(kind: Kind, offer: Offer) -> dict[str, Any]:
    descriptor = offer.descriptor
    return {
        "kind": kind,
        "name": descriptor.name,
        "summary": descriptor.summary,
        "target": descriptor.target,
        "capabilities": sorted(descriptor.capabilities),
        "options": [option._asdict() for option in descriptor.options],
        "extra": descriptor.extra,
        "problem": _problem(kind, offer),
    }


def _problem(kind: Kind, offer: Offer) -> str | None:
    """Why it cannot be used here, in one line; for a backend also by its own word."""
    try:
        target = offer.load(kind)
    except ConfigError as error:
        return f"{error.message}; {error.hint}"
    problem: str | None = target.problem() if kind == "backends" else None
    return problem
