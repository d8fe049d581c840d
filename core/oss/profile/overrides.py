"""Values from ``--set table.key=value`` and from the environment."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ConfigError
from oss.profile.check import KeyInfo, schema_keys, sub_table, value_problem
from oss.profile.schema import Profile
from oss.profile.toml_file import parse_key, parse_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from oss.plugins.manager import Kind, Offer, Plugins
    from oss.profile.toml_file import Key

RESERVED = frozenset({"OSS_HOME", "OSS_PLUGINS", "OSS_TRACE_HOOKS"})
"""Variables with a meaning of their own; no key may have one of these names."""

NOT_OVERRIDABLE = frozenset({("extends",), ("description",)})
PLUGIN_TABLES: dict[str, tuple[Kind, ...]] = {
    "backend": ("backends",),
    "retriever": ("retrievers", "stores"),
    "train": ("adapters",),
}


def table_offers(plugins: Plugins, table: str) -> dict[str, Offer]:
    """What the ``name`` of a table may be; a name of two kinds is the first's."""
    found: dict[str, Offer] = {}
    for kind in PLUGIN_TABLES[table]:
        found = {**plugins.offers(kind), **found}
    return found


def known_keys() -> dict[Key, KeyInfo]:
    """The keys that ``--set`` and the environment may give."""
    arrays = {f.name for f in _top_fields() if (t := sub_table(f.type)) and t[1]}
    return {
        info.key: info
        for info in schema_keys(Profile)
        if info.key not in NOT_OVERRIDABLE and info.key[0] not in arrays
    }


def parse_set(text: str) -> tuple[Key, Any]:
    """One ``table.key=value``; the value is TOML, or plain text where that is meant.

    :raises ConfigError: no ``=``, or no key before it.
    """
    name, equals, raw = text.partition("=")
    key = parse_key(name) if equals else None
    if key is None:
        raise ConfigError(
            f"--set '{text}': expected table.key=value",
            hint="for example: --set sampling.temperature=0.2",
        )
    if key in NOT_OVERRIDABLE:
        raise ConfigError(
            f"--set {name}: '{key[0]}' belongs to the file",
            hint="choose the profile with --profile",
        )
    return key, typed(known_keys().get(key), raw.strip())


def typed(info: KeyInfo | None, raw: str) -> Any:
    """The value that a text stands for: as TOML, or as it is where the key wants a text."""
    value = parse_value(raw)
    if info is None or isinstance(value, str) or not value_problem(value, info.type):
        return value
    return raw if not value_problem(raw, info.type) else value


def read_environment(
    environ: Mapping[str, str], plugins: Plugins | None
) -> Iterable[tuple[Key, Any, str]]:
    """Key, value and variable for each ``OSS_<TABLE>_<KEY>`` that is set.

    Variables whose first word is no table of a profile belong to others and are left alone.

    :raises ConfigError: the table is known and the key is not.
    """
    names = {"OSS_" + "_".join(key).upper(): (key, info) for key, info in known_keys().items()}
    tables = {key[0].upper() for key in known_keys() if len(key) > 1}
    for variable in sorted(environ):
        if not variable.startswith("OSS_") or variable in RESERVED:
            continue
        raw = environ[variable]
        if variable in names:
            key, info = names[variable]
            yield key, typed(info, raw), variable
        elif variable.startswith("OSS_PERSONA_VARIABLES_"):
            name = variable.removeprefix("OSS_PERSONA_VARIABLES_").lower()
            yield ("persona", "variables", name), raw, variable
        elif (option := _option_key(variable, plugins)) is not None:
            yield option, parse_value(raw), variable
        elif variable.split("_")[1] in tables:
            near = difflib.get_close_matches(variable, names, 1)
            raise ConfigError(
                f"environment variable {variable}: no such key of a profile",
                hint=f"did you mean {near[0]}?" if near else "see `oss profile schema`",
            )


def _option_key(variable: str, plugins: Plugins | None) -> Key | None:
    """``OSS_BACKEND_LLAMACPP_GPU_LAYERS`` is ``backend.llamacpp.gpu_layers``."""
    if plugins is None:
        return None
    for table in PLUGIN_TABLES:
        prefix = f"OSS_{table.upper()}_"
        if not variable.startswith(prefix):
            continue
        for name, offer in table_offers(plugins, table).items():
            part = name.upper().replace("-", "_") + "_"
            rest = variable.removeprefix(prefix)
            if not rest.startswith(part):
                continue
            for option in offer.descriptor.options:
                if option.name.upper() == rest.removeprefix(part):
                    return (table, name, option.name)
    return None


def _top_fields() -> Iterable[Any]:
    import msgspec

    return msgspec.structs.fields(Profile)
