"""Paths in a profile are relative to the file they stand in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oss.profile.overrides import PLUGIN_TABLES, table_offers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oss.plugins.manager import Offer, Plugins


def absolute_paths(
    data: Mapping[str, Any], base: Path, plugins: Plugins | None = None
) -> dict[str, Any]:
    """A copy in which paths are absolute: in a file they are relative to that file.

    :param base: the file's folder.
    :param plugins: when given, options that are declared as paths are made absolute too.
    """
    copy: dict[str, Any] = {
        name: dict(value) if isinstance(value, dict) else value for name, value in data.items()
    }
    model, persona = copy.get("model"), copy.get("persona")
    if isinstance(model, dict):
        if isinstance(model.get("name"), str):
            model["name"] = _absolute_model(model["name"], base)
        if isinstance(model.get("prefer"), list):
            model["prefer"] = [
                _absolute_model(ref, base) if isinstance(ref, str) else ref
                for ref in model["prefer"]
            ]
    if isinstance(persona, dict):
        name = persona.get("name")
        if isinstance(name, str) and (name.endswith((".toml", ".md")) or "/" in name):
            persona["name"] = _absolute(name, base)
    adapters = copy.get("adapter")
    if isinstance(adapters, list):
        copy["adapter"] = [
            {**item, "path": _absolute_adapter(item["path"], base)}
            if isinstance(item, dict) and isinstance(item.get("path"), str)
            else item
            for item in adapters
        ]
    train = copy.get("train")
    if isinstance(train, dict):
        for key in ("data", "held_out"):
            if isinstance(train.get(key), list):
                train[key] = [
                    _absolute(item, base) if isinstance(item, str) else item for item in train[key]
                ]
        for key, absolute in (("start", _absolute_adapter), ("reward", _absolute)):
            if isinstance(train.get(key), str):
                train[key] = absolute(train[key], base)
    if plugins is not None:
        for table in PLUGIN_TABLES:
            if isinstance(copy.get(table), dict):
                _absolute_options(copy[table], table_offers(plugins, table), base)
    return copy


def _absolute_options(table: dict[str, Any], offers: Mapping[str, Offer], base: Path) -> None:
    for part in table.keys() & offers.keys():
        if not isinstance(table[part], dict):
            continue
        paths = {o.name for o in offers[part].descriptor.options if o.type == "path"}
        table[part] = {
            name: _absolute(value, base) if name in paths and isinstance(value, str) else value
            for name, value in table[part].items()
        }


def _absolute_adapter(text: str, base: Path) -> str:
    """A name of an adapter stays; a path becomes absolute."""
    named = "/" not in text and not text.endswith(".gguf") and not (base / text).exists()
    return text if named else _absolute(text, base)


def _absolute_model(ref: str, base: Path) -> str:
    scheme, colon, rest = ref.partition(":")
    if colon and scheme == "file":
        return f"file:{_absolute(rest, base)}"
    looks_like_path = ref.startswith(("./", "../", "~")) or (ref.endswith(".gguf") and not colon)
    return _absolute(ref, base) if looks_like_path else ref


def _absolute(text: str, base: Path) -> str:
    return os.path.normpath(base.absolute() / Path(text).expanduser())
