"""Registers plugins one by one, so that a broken one costs a warning and what it offers."""

from __future__ import annotations

import difflib
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pluggy

from oss import hookspecs
from oss.contracts.errors import ConfigError
from oss.plugins.discovery import EntryPoint, find_entry_points

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from oss.contracts.descriptors import Descriptor

Kind = Literal[
    "backends",
    "retrievers",
    "embedders",
    "adapters",
    "personas",
    "tools",
    "model_sources",
    "commands",
]


@dataclass(frozen=True)
class Offer:
    """A descriptor and the plugin it comes from."""

    descriptor: Descriptor
    plugin: str


class Plugins:
    """The registered plugins and what they offer.

    :ivar warnings: one line for each plugin that could not be used.
    """

    def __init__(self, entry_points: Iterable[EntryPoint]) -> None:
        self.manager = pluggy.PluginManager("oss")
        self.manager.add_hookspecs(hookspecs)
        self.warnings: list[str] = []
        self._offers: dict[Kind, dict[str, Offer]] = {}
        if os.environ.get("OSS_TRACE_HOOKS") == "1":
            self.manager.trace.root.setwriter(lambda text: sys.stderr.write(text))
            self.manager.enable_tracing()
        for entry_point in entry_points:
            self._register(entry_point)

    @property
    def hook(self) -> Any:
        """pluggy's hook relay, for the moments of the turn."""
        return self.manager.hook

    def _register(self, entry_point: EntryPoint) -> None:
        try:
            plugin = entry_point.load()
            self.manager.register(plugin, name=entry_point.name)
            self.manager.check_pending()
        except Exception as error:  # noqa: BLE001  a plugin may raise anything
            if self.manager.has_plugin(entry_point.name):
                self.manager.unregister(name=entry_point.name)
            self.warnings.append(
                f"plugin '{entry_point.name}' ({entry_point.distribution}) is not usable: "
                f"{type(error).__name__}: {error}"
            )

    def offers(self, kind: Kind) -> Mapping[str, Offer]:
        """Everything of one kind, by name, in order of registration."""
        if kind not in self._offers:
            found: dict[str, Offer] = {}
            hook = getattr(self.hook, f"oss_{kind}")
            for implementation in reversed(hook.get_hookimpls()):
                try:
                    descriptors = list(implementation.function())
                except Exception as error:  # noqa: BLE001  a plugin may raise anything
                    self.warnings.append(
                        f"plugin '{implementation.plugin_name}' failed in oss_{kind}: "
                        f"{type(error).__name__}: {error}"
                    )
                    continue
                for descriptor in descriptors:
                    offer = Offer(descriptor, implementation.plugin_name)
                    first = found.setdefault(descriptor.name, offer)
                    if first is not offer:
                        self.warnings.append(
                            f"plugin '{offer.plugin}' offers {kind} '{descriptor.name}', which "
                            f"'{first.plugin}' already does; ignored"
                        )
            self._offers[kind] = found
        return self._offers[kind]

    def find(self, kind: Kind, name: str) -> Descriptor:
        """The descriptor of a name.

        :raises ConfigError: unknown; the message has the nearest name.
        """
        offers = self.offers(kind)
        if name in offers:
            return offers[name].descriptor
        singular = kind.removesuffix("s").replace("_", " ")
        near = difflib.get_close_matches(name, offers, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(offers) or 'none'}"
        raise ConfigError(f"unknown {singular} '{name}'", hint=hint)

    def load(self, kind: Kind, name: str) -> Any:
        """Import what a name stands for.

        :raises ConfigError: unknown, or it cannot be imported; the hint says what to install.
        """
        descriptor = self.find(kind, name)
        try:
            return descriptor.load()
        except ImportError as error:
            extra = descriptor.extra
            raise ConfigError(
                f"{kind.removesuffix('s').replace('_', ' ')} '{name}' needs "
                f"'{error.name or error}', which is not installed",
                hint=f"pip install 'oss-workbench[{extra}]'" if extra else "reinstall its package",
            ) from error


def load_plugins() -> Plugins:
    """Every installed plugin, or those that ``OSS_PLUGINS`` (comma separated; empty: none) names.

    :raises ConfigError: ``OSS_PLUGINS`` names a plugin that is not installed.
    """
    found = find_entry_points()
    selection = os.environ.get("OSS_PLUGINS")
    if selection is not None:
        wanted = [name.strip() for name in selection.split(",") if name.strip()]
        by_name = {entry_point.name: entry_point for entry_point in found}
        if missing := [name for name in wanted if name not in by_name]:
            raise ConfigError(
                f"OSS_PLUGINS names '{missing[0]}', which is not installed",
                hint=f"installed: {', '.join(by_name) or 'none'}",
            )
        found = [by_name[name] for name in wanted]
    return Plugins(found)
