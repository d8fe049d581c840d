"""Everything that is wrong with a profile, for ``oss profile check`` and ``edit``."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ConfigError, OssError
from oss.profile.check import Problem
from oss.profile.resolve import (
    DEFAULT,
    layer_problems,
    load_layers,
    merge_layers,
    nearest_origin,
    plugin_problems,
    to_profile,
)
from oss.profile.toml_file import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from oss.plugins.manager import Plugins
    from oss.profile.find import FoundProfile
    from oss.profile.toml_file import TomlFile


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: where (file and line), which key, what, and what to do."""

    where: str
    key: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.key, self.message) if part)


def check_profile(
    found: FoundProfile, plugins: Plugins, file: TomlFile | None = None
) -> list[Finding]:
    """All that is wrong, what it extends included; empty when nothing is.

    :param file: a text to check in place of the profile's own file (an edited copy).
    """
    try:
        layers = load_layers(found, file, plugins)
    except ConfigError as error:
        return [Finding("", "", error.message, error.hint)]
    findings = [
        _finding(problem, layer.origin(problem.key))
        for layer in layers
        for problem in layer_problems(layer)
    ]
    if findings:
        return findings
    merged, origins = merge_layers(layers)
    problems = [*plugin_problems(merged, plugins), *_missing_parts(merged, plugins)]
    return [_finding(problem, nearest_origin(origins, problem.key)) for problem in problems]


def _finding(problem: Problem, origin: Any) -> Finding:
    where = "" if origin is DEFAULT else str(origin)
    return Finding(where, dotted(problem.key), problem.message, problem.hint)


def _missing_parts(merged: Mapping[str, Any], plugins: Plugins) -> Iterator[Problem]:
    """Personas, tools and adapters that are named and not there."""
    from oss.adapters.locate import locate
    from oss.persona import find_persona, render_system

    profile = to_profile(merged)
    if profile.persona.name is not None:
        try:
            persona = find_persona(profile.persona.name, plugins)
            render_system(persona, profile.persona.variables)
        except ConfigError as error:
            yield Problem(("persona", "name"), error.message, error.hint)
    offers = plugins.offers("tools")
    for tool in profile.tools.allow:
        if tool not in offers:
            near = difflib.get_close_matches(tool, offers, 1)
            known = f"known: {', '.join(offers) or 'none'}"
            hint = f"did you mean '{near[0]}'?" if near else known
            yield Problem(("tools", "allow"), f"unknown tool '{tool}'", hint)
    for index, adapter in enumerate(profile.adapter):
        try:
            locate(adapter.path, adapter.name, adapter.scale)
        except OssError as error:
            yield Problem(("adapter", str(index), "path"), error.message, error.hint)
