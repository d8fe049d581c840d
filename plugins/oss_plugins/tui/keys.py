"""Every action that has a key: the one table for bindings, ``tui.toml`` and the help screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.binding import Binding

Place = Literal["anywhere", "prompt", "turn", "list"]

PLACES: dict[Place, str] = {
    "anywhere": "Anywhere",
    "prompt": "Writing",
    "turn": "On a turn (Ctrl+Up goes there)",
    "list": "In the list of conversations",
}


@dataclass(frozen=True)
class Key:
    """An action and its default keys.

    :param action: the name of the method ``action_...``, of the application behind ``app.``.
    :param footer: what the footer calls it, if it is shown there.
    """

    place: Place
    keys: str
    action: str
    text: str
    footer: str = ""


KEYS: dict[str, Key] = {
    "help": Key("anywhere", "f1", "help", "this page", "Help"),
    "new": Key("anywhere", "ctrl+n", "new", "a new conversation", "New"),
    "search": Key("anywhere", "ctrl+l", "search", "search the conversations", "Search"),
    "conversations": Key("anywhere", "ctrl+b", "conversations", "show or hide conversations"),
    "inspector": Key(
        "anywhere", "ctrl+t", "inspector", "show or hide what the turn did", "Inspect"
    ),
    "profile": Key("anywhere", "f2", "pick('profile')", "another profile", "Profile"),
    "persona": Key("anywhere", "f3", "pick('persona')", "another persona"),
    "model": Key("anywhere", "f4", "pick('model')", "another model"),
    "adapter": Key("anywhere", "f5", "pick('adapter')", "another adapter"),
    "compare": Key("anywhere", "ctrl+g", "compare", "one prompt, two profiles"),
    "attach": Key("anywhere", "ctrl+o", "attach", "attach a file to the next prompt"),
    "retry": Key("anywhere", "ctrl+r", "retry", "answer the last prompt again"),
    "theme": Key("anywhere", "f10", "app.theme", "light or dark"),
    "quit": Key("anywhere", "ctrl+q", "app.quit", "leave", "Quit"),
    "stop": Key("anywhere", "escape", "stop", "stop the answer; back to the prompt"),
    "send": Key("prompt", "enter", "send", "send"),
    "newline": Key("prompt", "ctrl+j,shift+enter,alt+enter", "newline", "a new line"),
    "turns": Key("prompt", "ctrl+up", "turns", "to the turns above"),
    "complete": Key("prompt", "tab", "complete", "complete a / command"),
    "copy": Key("turn", "c", "copy", "copy the answer", "Copy"),
    "copy_code": Key("turn", "k", "copy_code", "copy a code block", "Copy code"),
    "edit": Key("turn", "e", "edit", "edit the prompt and send it again", "Edit"),
    "again": Key("turn", "r", "again", "answer again", "Again"),
    "fork": Key("turn", "f", "fork", "a new conversation from here", "Fork"),
    "thinking": Key("turn", "t", "thinking", "unfold the thinking"),
    "above": Key("turn", "up,ctrl+up", "above", "the turn above"),
    "below": Key("turn", "down,ctrl+down", "below", "the turn below"),
    "rename": Key("list", "r", "rename", "rename", "Rename"),
    "delete": Key("list", "delete,d", "delete", "delete", "Delete"),
}


def actions(place: Place, remapped: Mapping[str, str]) -> dict[str, str]:
    """Key to action, with the user's keys in place of the defaults."""
    return {
        key: entry.action
        for name, entry in KEYS.items()
        if entry.place == place
        for key in remapped.get(name, entry.keys).split(",")
    }


def bindings(place: Place) -> list[Binding]:
    """The bindings of one place, each with its id, so that they can be remapped."""
    from textual.binding import Binding

    return [
        Binding(
            entry.keys,
            entry.action,
            entry.footer or entry.text,
            show=bool(entry.footer),
            id=name,
            # Before the text area, which has keys of its own; escape also closes what is open.
            priority=place == "anywhere" and name != "stop",
        )
        for name, entry in KEYS.items()
        if entry.place == place
    ]
