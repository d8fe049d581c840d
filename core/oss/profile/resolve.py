"""From a name to one profile, with the origin of every value."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from oss.contracts.errors import ConfigError
from oss.profile.check import Problem, fields_of, find_problems, sub_table
from oss.profile.find import FoundProfile, default_name, find_profile, is_path, shipped_dir
from oss.profile.overrides import PLUGIN_TABLES, parse_set, read_environment, table_offers
from oss.profile.relative_paths import absolute_paths
from oss.profile.schema import Profile, Table
from oss.profile.toml_file import TomlFile, dotted, read_toml, show_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from oss.plugins.manager import Plugins
    from oss.profile.toml_file import Key


@dataclass(frozen=True)
class Origin:
    """Where a value comes from: a file's path, ``--set``, ``env`` or ``default``.

    :param line: in the file.
    :param variable: of the environment.
    """

    source: str
    line: int | None = None
    variable: str | None = None

    def __str__(self) -> str:
        if self.variable:
            return f"${self.variable}"
        if self.source in ("--set", "default"):
            return self.source
        path = Path(self.source)
        ships = path.parent == shipped_dir("profiles")
        shown = f"shipped:{path.name}" if ships else show_path(path)
        return f"{shown}:{self.line}" if self.line else shown


DEFAULT = Origin("default")


@dataclass(frozen=True)
class ResolvedProfile:
    """A profile with everything beneath it merged in.

    :param origins: dotted key to where its value comes from; every key of the profile is there.
    :param files: the files it was made from, nearest first.
    :param hash: SHA-256 of the values (not of ``description`` and ``extends``): two turns with
        the same hash ran with the same settings.
    """

    name: str
    profile: Profile
    origins: Mapping[str, Origin]
    files: tuple[Path, ...]
    hash: str


@dataclass(frozen=True)
class Layer:
    """Values of one origin. ``file`` is ``None`` for ``--set`` and the environment."""

    data: dict[str, Any]
    file: TomlFile | None = None
    named: Mapping[Key, Origin] | None = None

    def origin(self, key: Key) -> Origin:
        """Where this layer has the key."""
        if self.file is not None:
            return Origin(str(self.file.path), self.file.line(key))
        named = self.named or {}
        parts = key
        while parts and parts not in named:
            parts = parts[:-1]
        return named.get(parts, Origin("--set"))


def resolve_profile(
    name: str | None,
    *,
    sets: Sequence[str] = (),
    plugins: Plugins | None = None,
    environ: Mapping[str, str] = os.environ,
) -> ResolvedProfile:
    """The profile of a name or path; ``None`` is the user's default.

    Precedence: ``--set``, the environment, the profile's own file, what it extends, defaults.

    :param sets: texts ``table.key=value``.
    :param plugins: when given, names of backends and retrievers and their options are checked.
    :raises ConfigError: unknown profile, broken file, unknown key, wrong value, circular extends.
    """
    found = find_profile(name if name is not None else default_name())
    layers = [*load_layers(found, plugins=plugins), *override_layers(sets, plugins, environ)]
    for layer in layers:
        for problem in layer_problems(layer):
            raise problem_error(problem, layer.origin(problem.key))
    merged, origins = merge_layers(layers)
    if plugins is not None:
        for problem in plugin_problems(merged, plugins):
            raise problem_error(problem, nearest_origin(origins, problem.key))
    profile = to_profile(merged)
    files = tuple(layer.file.path for layer in reversed(layers) if layer.file is not None)
    return ResolvedProfile(
        found.name, profile, _all_origins(profile, origins), files, hash_of(profile)
    )


def load_layers(
    found: FoundProfile, file: TomlFile | None = None, plugins: Plugins | None = None
) -> list[Layer]:
    """The file and all it extends, farthest first; paths in them made absolute.

    :param file: what to take in place of the profile's own file.
    :param plugins: know which options are paths.
    :raises ConfigError: a file is broken, something extended is unknown, or the chain is a circle.
    """
    layers: list[Layer] = []
    seen: list[Path] = []
    while True:
        real = Path(os.path.realpath(found.path))  # unlike resolve(), lives with link loops
        if real in seen:
            chain = " -> ".join(show_path(path) for path in [*seen[seen.index(real) :], real])
            raise ConfigError(
                f"circular extends: {chain}", hint="remove `extends` from one of these files"
            )
        seen.append(real)
        file = file or read_toml(found.path)
        layers.append(Layer(absolute_paths(file.data, found.path.parent, plugins), file))
        extends = file.data.get("extends")
        if extends is None:
            return layers[::-1]
        if not isinstance(extends, str):  # named with file and line by the check of the layer
            return layers[::-1]
        found, file = _extended(extends, found, file), None


def _extended(extends: str, by: FoundProfile, file: TomlFile) -> FoundProfile:
    try:
        if is_path(extends):
            return find_profile(str(by.path.parent / Path(extends).expanduser()))
        if extends == by.name and by.place != "path":
            return find_profile(extends, beyond=by.path.parent)
        return find_profile(extends)
    except ConfigError as error:
        where = f"{show_path(by.path)}:{file.line(('extends',))}"
        raise ConfigError(f"{where}: extends: {error.message}", hint=error.hint) from None


def override_layers(
    sets: Iterable[str], plugins: Plugins | None, environ: Mapping[str, str]
) -> Iterator[Layer]:
    """The environment, then ``--set``, as layers."""
    data: dict[str, Any] = {}
    named: dict[Key, Origin] = {}
    for key, value, variable in read_environment(environ, plugins):
        put(data, key, value)
        named[key] = Origin("env", variable=variable)
    if data:
        yield Layer(data, named=named)
    data = {}
    for text in sets:
        key, value = parse_set(text)
        put(data, key, value)
    if data:
        yield Layer(data)


def put(data: dict[str, Any], key: Key, value: Any) -> None:
    """Set a nested key; what stands in the way is replaced."""
    for part in key[:-1]:
        inner = data.get(part)
        if not isinstance(inner, dict):
            inner = data[part] = {}
        data = inner
    data[key[-1]] = value


def layer_problems(layer: Layer) -> Iterator[Problem]:
    """What is wrong with one layer by itself."""
    yield from find_problems(layer.data, Profile)
    persona = layer.data.get("persona")
    if isinstance(persona, dict) and {"name", "system"} <= persona.keys():
        yield Problem(
            ("persona", "system"),
            "a named persona and a system text exclude each other",
            "keep `name`, or keep `system`",
        )


def plugin_problems(merged: Mapping[str, Any], plugins: Plugins) -> Iterator[Problem]:
    """Unknown backends and retrievers, and what is wrong with their options.

    Options of a part that is not installed here are left alone, so that a profile can serve
    several machines; a name close to a known one is taken for a misspelling.
    """
    import difflib

    from oss.plugins.options import find_option_problems

    for table in PLUGIN_TABLES:
        given = merged.get(table, {})
        offers = table_offers(plugins, table)
        name = given.get("name")
        if name is not None and name != "auto" and name not in offers:
            near = difflib.get_close_matches(name, offers, 1)
            known = f"known: {', '.join(offers) or 'none'}"
            yield Problem(
                (table, "name"),
                f"unknown {table} '{name}'",
                f"did you mean '{near[0]}'?" if near else known,
            )
        for part, options in given.items():
            if not isinstance(options, dict):
                continue
            if part in offers:
                for wrong in find_option_problems(offers[part].descriptor, options):
                    yield Problem((table, part, wrong.option), wrong.message, wrong.hint)
            elif near := difflib.get_close_matches(part, offers, 1):
                yield Problem((table, part), f"unknown {table}", f"did you mean '{near[0]}'?")


def problem_error(problem: Problem, origin: Origin) -> ConfigError:
    """The error for a problem: place, key, what was expected."""
    return ConfigError(f"{origin}: {dotted(problem.key)}: {problem.message}", hint=problem.hint)


def merge_layers(layers: Iterable[Layer]) -> tuple[dict[str, Any], dict[Key, Origin]]:
    """Tables merge key by key, everything else replaces; farthest layer first."""
    merged: dict[str, Any] = {}
    origins: dict[Key, Origin] = {}
    for layer in layers:
        for key in _replaced_by(layer.data):
            _forget(merged, origins, key)
        _merge(merged, layer.data, (), layer, origins)
    return merged, origins


def _replaced_by(data: Mapping[str, Any]) -> Iterator[Key]:
    """Keys of farther layers that a nearer choice between two keys puts out of force."""
    model, persona = data.get("model", {}), data.get("persona", {})
    if "prefer" in model and "name" not in model:
        yield ("model", "name")
    if "name" in persona:
        yield ("persona", "system")
    if "system" in persona:
        yield ("persona", "name")


def _forget(merged: dict[str, Any], origins: dict[Key, Origin], key: Key) -> None:
    merged.get(key[0], {}).pop(key[1], None)
    origins.pop(key, None)


def _merge(
    target: dict[str, Any],
    data: Mapping[str, Any],
    path: Key,
    layer: Layer,
    origins: dict[Key, Origin],
) -> None:
    for name, value in data.items():
        key = (*path, name)
        if isinstance(value, dict):
            inner = target.get(name)
            if not isinstance(inner, dict):
                inner = target[name] = {}
            _merge(inner, value, key, layer, origins)
            continue
        for old in [o for o in origins if o[: len(key)] == key]:
            del origins[old]
        target[name] = value
        origins[key] = layer.origin(key)
        if isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    for part in item:
                        inner_key = (*key, str(index), part)
                        origins[inner_key] = layer.origin(inner_key)


def to_profile(merged: Mapping[str, Any]) -> Profile:
    """The typed profile of checked, merged values."""
    return msgspec.convert(_gather_options(merged, Profile), Profile)


def _gather_options(data: Mapping[str, Any], table: type[Table]) -> dict[str, Any]:
    """Move the tables named by plugins into ``options``."""
    fields = fields_of(table)
    result: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for name, value in data.items():
        if name not in fields:
            options[name] = value
        elif isinstance(value, dict) and (inner := sub_table(fields[name].type)):
            result[name] = _gather_options(value, inner[0])
        else:
            result[name] = value
    return {**result, "options": options} if table.open_tables else result


def flatten(table: Table, path: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Every key and value of a profile as a TOML file would have them."""
    for name in type(table).__struct_fields__:
        value = getattr(table, name)
        if type(table).open_tables and name == "options":
            for part, options in value.items():
                yield from (((*path, part, option), v) for option, v in options.items())
        elif isinstance(value, Table):
            yield from flatten(value, (*path, name))
        elif isinstance(value, tuple) and value and isinstance(value[0], Table):
            for index, item in enumerate(value):
                yield from flatten(item, (*path, name, str(index)))
        elif isinstance(value, dict):
            yield from (((*path, name, inner), v) for inner, v in value.items())
        else:
            yield (*path, name), value


def hash_of(profile: Profile) -> str:
    """SHA-256 of the values, independent of the order in which they were written."""
    bare = msgspec.structs.replace(profile, extends=None, description="")
    return hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest()


def _all_origins(profile: Profile, origins: Mapping[Key, Origin]) -> dict[str, Origin]:
    return {dotted(key): origins.get(key, DEFAULT) for key, _ in flatten(profile)}


def nearest_origin(origins: Mapping[Key, Origin], key: Key) -> Origin:
    """Where a key comes from; for a table, where its first key does."""
    if key in origins:
        return origins[key]
    inside = [origin for known, origin in origins.items() if known[: len(key)] == key]
    return inside[0] if inside else DEFAULT
