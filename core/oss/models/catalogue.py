"""The catalogue: short names for models, from plugins and from the user's own ``models.toml``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from oss import paths
from oss.contracts.errors import ConfigError
from oss.contracts.model import CatalogueEntry

if TYPE_CHECKING:
    from oss.plugins.manager import Plugins


def load_catalogue(plugins: Plugins) -> dict[str, CatalogueEntry]:
    """Every short name: the user's aliases first, then what plugins offer in their order.

    :raises ConfigError: ``<config>/models.toml`` is broken.
    """
    offered: dict[str, CatalogueEntry] = {}
    for _, entry in plugins.joined("oss_models"):
        offered.setdefault(entry.name, entry)
    aliases = _aliases(offered)
    return {**aliases, **{name: e for name, e in offered.items() if name not in aliases}}


def _aliases(offered: dict[str, CatalogueEntry]) -> dict[str, CatalogueEntry]:
    """Aliases as entries; one that names a short name has all that this name has."""
    found = {}
    for name, target in _alias_table().items():
        if target in offered:
            entry = offered[target]
            found[name] = CatalogueEntry(
                name, entry.summary, entry.refs, entry.licence, entry.size, entry.sha256
            )
        else:
            found[name] = CatalogueEntry(name, f"your alias for {target}", (target,), "")
    return found


def _alias_table() -> dict[str, str]:
    """The ``[alias]`` table of ``<config>/models.toml``: name to reference."""
    file = paths.config_dir() / "models.toml"
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        table: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{file} is not TOML: {error}",
            hint="names in other letters than a-z stand in quotes, and so do all references",
        ) from error
    if unknown := [key for key in table if key != "alias"]:
        raise ConfigError(
            f"{file} has an unknown key '{unknown[0]}'",
            hint='write aliases as: [alias] on one line, then name = "hf:owner/repo"',
        )
    aliases = table.get("alias", {})
    if not isinstance(aliases, dict):
        raise ConfigError(f"{file}: 'alias' is not a table", hint="write [alias] on a line")
    for name, target in aliases.items():
        if not isinstance(target, str) or not target:
            raise ConfigError(
                f"{file}: alias '{name}' is not a text", hint=f'{name} = "hf:owner/repo"'
            )
    return aliases
