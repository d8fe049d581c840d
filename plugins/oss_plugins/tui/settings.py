"""``tui.toml``: the user's theme and keys."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ConfigError
from oss.paths import config_dir
from oss_plugins.tui.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

KNOWN = ("theme", "keys")
THEMES = ("oss-dark", "oss-light")


@dataclass(frozen=True)
class Settings:
    """What the user set.

    :param keys: id of an action to its keys, as Textual names them, with commas between.
    """

    theme: str = THEMES[0]
    keys: dict[str, str] = field(default_factory=dict)


def settings_path() -> Path:
    """Where the file is."""
    return config_dir() / "tui.toml"


def read_settings() -> Settings:
    """The user's settings; the defaults where there is no file.

    :raises ConfigError: broken, an unknown key, or two actions on one key.
    """
    path = settings_path()
    if not path.is_file():
        return Settings()
    from oss.profile.toml_file import read_toml, show_path

    file = read_toml(path)

    def where(*key: str) -> str:
        return f"{show_path(path)}:{file.line(list(key))}: {'.'.join(key)}"

    for name in file.data:
        if name not in KNOWN:
            raise ConfigError(f"{where(name)}: unknown key", hint=_nearest(name, KNOWN))
    theme = file.data.get("theme", Settings.theme)
    if theme not in _themes():
        raise ConfigError(
            f"{where('theme')}: unknown theme {theme!r}", hint=_nearest(str(theme), _themes())
        )
    given: Any = file.data.get("keys", {})
    if not isinstance(given, dict):
        raise ConfigError(f"{where('keys')}: expected a table", hint='[keys]\nnew = "ctrl+n"')
    keys: dict[str, str] = {}
    for name, value in given.items():
        if name not in KEYS:
            raise ConfigError(f"{where('keys', name)}: unknown action", hint=_nearest(name, KEYS))
        keys[name] = _keys_text(value, where("keys", name))
    _refuse_clashes(keys, where)
    return Settings(theme, keys)


def _themes() -> tuple[str, ...]:
    from textual.theme import BUILTIN_THEMES

    return (*THEMES, *BUILTIN_THEMES)


def _keys_text(value: Any, where: str) -> str:
    from textual.keys import Keys

    hint = 'write "ctrl+n", "f5", or "ctrl+n,f5" for two'
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{where}: expected keys as a text, got {value!r}", hint=hint)
    known = {key.value for key in Keys}
    names = [name.strip() for name in value.split(",")]
    for name in names:
        *modifiers, last = name.split("+")
        good = (len(last) == 1 or last in known) and not set(modifiers) - {"ctrl", "shift", "alt"}
        if not good:
            near = difflib.get_close_matches(name, known, 1)
            raise ConfigError(
                f"{where}: there is no key '{name}'",
                hint=f"did you mean '{near[0]}'?" if near else hint,
            )
    return ",".join(names)


def _refuse_clashes(keys: dict[str, str], where: Any) -> None:
    taken: dict[tuple[str, str], str] = {}
    for name, entry in KEYS.items():
        for key in keys.get(name, entry.keys).split(","):
            other = taken.setdefault((entry.place, key), name)
            if other != name:
                named = name if name in keys else other
                raise ConfigError(
                    f"{where('keys', named)}: '{key}' does two things: {other} and {name}",
                    hint=f"give the other one another key: {other if named == name else name}",
                )


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
