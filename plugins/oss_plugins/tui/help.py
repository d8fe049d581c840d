"""The help screen, made from the tables of keys and commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from oss.turn.commands import COMMANDS
from oss_plugins.tui.keys import KEYS, PLACES
from oss_plugins.tui.settings import settings_path

if TYPE_CHECKING:
    from collections.abc import Mapping


def help_content(remapped: Mapping[str, str]) -> Content:
    """Every key as it is now, and every command."""
    parts: list[str | tuple[str, str]] = []
    for place, title in PLACES.items():
        parts += [(f"{title}\n", "bold $primary")]
        for name, entry in KEYS.items():
            if entry.place == place:
                keys = remapped.get(name, entry.keys).replace(",", " ")
                parts += [(f"  {keys:30}", "$accent"), f"{entry.text}\n"]
        parts += ["\n"]
    parts += [("Commands, in the prompt\n", "bold $primary")]
    for name, command in COMMANDS.items():
        parts += [(f"  /{name:29}", "$accent"), f"{command.summary}\n"]
    parts += [
        ("\nctrl+p", "$accent"),
        " finds everything by name. Keys and theme: ",
        f"{settings_path()}\n",
        ('[keys]\nnew = "ctrl+n"', "dim"),
    ]
    return Content.assemble(*parts)
