"""What there is to choose from: profiles, personas, models, adapters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oss.contracts.errors import OssError
from oss_plugins.tui.dialogs import Item

if TYPE_CHECKING:
    from collections.abc import Callable

    from oss.turn.talk import Talk


def choices_of(kind: str, talk: Talk) -> tuple[list[Item], str | None]:
    """The items of a kind, and the one in use. Reads files: not where a screen is drawn.

    :raises OssError: they cannot be listed.
    """
    return _KINDS[kind](talk)


def _profiles(talk: Talk) -> tuple[list[Item], str | None]:
    from oss.profile import list_profiles

    items = []
    for found in list_profiles():
        try:
            items.append(Item(found.name, found.description))
        except OssError as error:  # a broken file is told when it is chosen
            items.append(Item(found.name, error.message))
    return items, talk.made.resolved.name if talk.ready else None


def _personas(talk: Talk) -> tuple[list[Item], str | None]:
    from oss.persona import list_personas

    items = []
    for found in list_personas(talk.plugins):
        try:
            items.append(Item(found.name, found.summary))
        except OssError as error:
            items.append(Item(found.name, error.message))
    return items, talk.made.persona if talk.ready else None


def _models(talk: Talk) -> tuple[list[Item], str | None]:
    from oss.models import list_models
    from oss.models.catalogue import load_catalogue
    from oss.models.text import size_text

    catalogue = load_catalogue(talk.plugins)
    items = []
    for model in list_models(talk.plugins):
        entry = catalogue.get(model.name)
        size = size_text(model.size) if model.size else model.format
        items.append(Item(model.name, f"{size}  {entry.summary if entry else ''}"))
    return items, talk.made.choice.model.name if talk.ready else None


def _adapters(talk: Talk) -> tuple[list[Item], str | None]:
    from oss.adapters import list_adapters

    items = [Item("none", "those of the profile alone")]
    items += [Item(found.name, found.card.method) for found in list_adapters()]
    chosen = talk.choices.adapters
    return items, chosen[0].partition(":")[0] if chosen else "none"


_KINDS: dict[str, Callable[[Talk], tuple[list[Item], str | None]]] = {
    "profile": _profiles,
    "persona": _personas,
    "model": _models,
    "adapter": _adapters,
}
