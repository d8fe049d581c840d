"""Writes the file of a new persona, with every key explained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oss.persona.schema import PersonaFile
from oss.profile.write import commented_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oss.profile.toml_file import Key


def new_persona_text(name: str, given: Mapping[Key, Any], *, markdown: bool) -> str:
    """A persona with the values given, and every other key as a comment.

    As Markdown, the system text stands below TOML front matter (``+++``).
    """
    head = [
        f"# What the model gets to read: oss persona show {name}",
        f"# What is wrong with this file: oss persona check {name}",
        "# Short sentences that say what to do work best, also on small models.",
    ]
    system = str(given.get(("system",)) or f"You are {name}.")
    if not markdown:
        return commented_toml(head, PersonaFile, {**given, ("system",): system})
    rest = {key: value for key, value in given.items() if key != ("system",)}
    front = commented_toml(head, PersonaFile, rest, without=frozenset({("system",)}))
    return f"+++\n{front}+++\n{system}\n"
