"""Registers plugins one by one, so that a broken one costs a warning and what it offers."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from oss import hookspecs
from oss.contracts.descriptors import Descriptor
from oss.contracts.errors import ConfigError, OssError
from oss.plugins.discovery import EntryPoint, find_entry_points, select
from oss.plugins.offers import Kind, Offer, one_line, singular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pluggy import HookImpl

__all__ = ["Kind", "Offer", "Plugins", "load_plugins"]

Value = TypeVar("Value")


def _brief(result: Any) -> str:
    """A hook's answer for a trace: the names of what it offers."""
    if isinstance(result, list | tuple) and not isinstance(result, Descriptor):
        return ", ".join(str(getattr(item, "name", item)) for item in result) or "nothing"
    return repr(result)


class Plugins:
    """The registered plugins and what they offer.

    :param warn: called with each warning when it arises; a warning is one line.
    :ivar entry_points: every plugin that was asked for, by name, the broken ones too.
    :ivar broken: name of a plugin that could not be registered to the reason.
    :ivar warnings: one line for each plugin that could not be used, and each offer ignored.
    """

    def __init__(
        self, entry_points: Iterable[EntryPoint], warn: Callable[[str], None] | None = None
    ) -> None:
        self.manager = pluggy.PluginManager("oss")
        self.manager.add_hookspecs(hookspecs)
        self.entry_points: dict[str, EntryPoint] = {}
        self.broken: dict[str, str] = {}
        self.warnings: list[str] = []
        self._warn = warn
        self._offers: dict[Kind, dict[str, Offer]] = {}
        self._trace = os.environ.get("OSS_TRACE_HOOKS") == "1"
        for entry_point in entry_points:
            self._register(entry_point)

    @property
    def hook(self) -> Any:
        """pluggy's hook relay. Prefer :meth:`joined`, :meth:`pipe` and :meth:`notify`, which
        know what to do when a plugin fails.
        """
        return self.manager.hook

    def warn(self, line: str) -> None:
        """Keep a warning, and tell it to who wants to know at once."""
        self.warnings.append(line)
        if self._warn:
            self._warn(line)

    def _register(self, entry_point: EntryPoint) -> None:
        name = entry_point.name
        if first := self.entry_points.get(name):
            self.warn(
                f"plugin '{name}' of {entry_point.distribution} is ignored: "
                f"{first.distribution} has one of this name"
            )
            return
        self.entry_points[name] = entry_point
        try:
            self.manager.register(entry_point.load(), name=name)
            self.manager.check_pending()
        except Exception as error:  # noqa: BLE001  a plugin may raise anything
            self.broken[name] = self._reason(error)
            if self.manager.has_plugin(name):
                self.manager.unregister(name=name)
            self.warn(
                f"plugin '{name}' ({entry_point.distribution}) is not usable: {self.broken[name]}"
            )

    def _reason(self, error: Exception) -> str:
        if isinstance(error, pluggy.PluginValidationError):
            import difflib

            for caller in self.manager.get_hookcallers(error.plugin) or ():
                if not caller.has_spec():
                    near = difflib.get_close_matches(caller.name, dir(hookspecs), 1)
                    guess = f"; did you mean '{near[0]}'?" if near else ""
                    return f"there is no hook '{caller.name}'{guess}"
        return f"{type(error).__name__}: {one_line(error)}"

    def _implementations(self, hook: str) -> list[HookImpl]:
        """In order of registration, except that ``tryfirst`` and ``trylast`` are kept."""
        # pluggy keeps those of one rank in the order of registration, the first rank last.
        found = getattr(self.hook, hook).get_hookimpls()
        return sorted(found, key=lambda one: one.trylast - one.tryfirst)

    def _call(self, implementation: HookImpl, hook: str, given: Mapping[str, Any]) -> Any:
        arguments = [given[name] for name in implementation.argnames]
        if not self._trace:
            return implementation.function(*arguments)
        import time

        begun = time.perf_counter()
        outcome = "raised"
        try:
            result = implementation.function(*arguments)
            outcome = f"-> {_brief(result)}"
        finally:
            took = (time.perf_counter() - begun) * 1000
            sys.stderr.write(
                f"hook: {hook} [{implementation.plugin_name}] {took:.1f} ms {outcome}\n"
            )
        return result

    def joined(self, hook: str) -> list[tuple[str, Any]]:
        """What every plugin answers to a hook that returns a list: (plugin, item) pairs.

        A plugin that fails costs a warning and its own items.
        """
        found: list[tuple[str, Any]] = []
        for implementation in self._implementations(hook):
            plugin = implementation.plugin_name
            try:
                found += [(plugin, item) for item in self._call(implementation, hook, {})]
            except Exception as error:  # noqa: BLE001  a plugin may raise anything
                self.warn(f"plugin '{plugin}' failed in {hook}: {self._reason(error)}")
        return found

    def pipe(self, hook: str, name: str, value: Value, **others: Any) -> Value:
        """Pass ``value`` as the argument ``name`` through every plugin, each seeing what the one
        before returned; ``None`` leaves it.

        :raises ConfigError: a plugin failed. What it should have changed or taken away must not
            go on as if it had; an :class:`OssError` that it raises is passed on.
        """
        for implementation in self._implementations(hook):
            try:
                changed = self._call(implementation, hook, {**others, name: value})
            except OssError:
                raise
            except Exception as error:
                plugin = implementation.plugin_name
                raise ConfigError(
                    f"plugin '{plugin}' failed in {hook}: {self._reason(error)}",
                    hint=f"oss plugins show {plugin}; OSS_PLUGINS chooses which are used",
                ) from error
            value = value if changed is None else changed
        return value

    def notify(self, hook: str, **arguments: Any) -> None:
        """Tell every plugin; one that fails costs a warning."""
        for implementation in self._implementations(hook):
            try:
                self._call(implementation, hook, arguments)
            except Exception as error:  # noqa: BLE001  a plugin may raise anything
                plugin = implementation.plugin_name
                self.warn(f"plugin '{plugin}' failed in {hook}: {self._reason(error)}")

    def offers(self, kind: Kind) -> Mapping[str, Offer]:
        """Everything of one kind, by name, in order of registration."""
        if kind not in self._offers:
            found: dict[str, Offer] = {}
            for plugin, descriptor in self.joined(f"oss_{kind}"):
                if not isinstance(descriptor, Descriptor):
                    self.warn(
                        f"plugin '{plugin}' gave oss_{kind} a "
                        f"{type(descriptor).__name__}, not a Descriptor; ignored"
                    )
                    continue
                entry_point = self.entry_points.get(plugin)
                distribution = entry_point.distribution if entry_point else plugin
                offer = Offer(descriptor, plugin, distribution)
                first = found.setdefault(descriptor.name, offer)
                if first is not offer:
                    self.warn(
                        f"plugin '{plugin}' offers the {singular(kind)} '{descriptor.name}', "
                        f"which '{first.plugin}' already does; ignored"
                    )
            self._offers[kind] = found
        return self._offers[kind]

    def find(self, kind: Kind, name: str) -> Descriptor:
        """The descriptor of a name.

        :raises ConfigError: unknown; the hint has the nearest name, or the plugin that may offer
            it and could not be loaded.
        """
        return self._find(kind, name).descriptor

    def _find(self, kind: Kind, name: str) -> Offer:
        offers = self.offers(kind)
        if name in offers:
            return offers[name]
        if name in self.broken:
            raise ConfigError(
                f"{singular(kind)} '{name}' is not to be had: plugin '{name}' "
                f"({self.entry_points[name].distribution}) is not usable: {self.broken[name]}",
                hint=f"oss plugins show {name}",
            )
        import difflib

        if near := difflib.get_close_matches(name, offers, 1):
            hint = f"did you mean '{near[0]}'?"
        elif self.broken:
            listed = ", ".join(f"'{b}' ({self.entry_points[b].distribution})" for b in self.broken)
            hint = f"perhaps of a plugin that is not usable: {listed}; oss plugins show NAME"
        else:
            hint = f"known: {', '.join(offers) or 'none'}"
        raise ConfigError(f"unknown {singular(kind)} '{name}'", hint=hint)

    def load(self, kind: Kind, name: str) -> Any:
        """Import what a name stands for.

        :raises ConfigError: unknown, or it cannot be imported; names plugin and distribution,
            and the hint says what to install.
        """
        return self._find(kind, name).load(kind)


_said: set[str] = set()


def to_stderr(line: str) -> None:
    """Write a warning, once in the life of the process."""
    if line not in _said:
        _said.add(line)
        sys.stderr.write(f"warning: {line}\n")


def load_plugins(warn: Callable[[str], None] | None = to_stderr) -> Plugins:
    """Every installed plugin, or those that ``OSS_PLUGINS`` names.

    :param warn: receives the warnings; by default they are lines on stderr.
    :raises ConfigError: ``OSS_PLUGINS`` names a plugin that is not installed.
    """
    return Plugins(select(find_entry_points()), warn)
