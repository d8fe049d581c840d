"""What happens behind the first picture: plugins, store, profile; and a model, if none is here."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from oss.contracts.errors import ConfigError, ModelError, OssError

if TYPE_CHECKING:
    from oss.turn.choices import Choices
    from oss_plugins.tui.chat_screen import ChatScreen

FIRST_ANSWER = ("oss_plugins.tui.turns", "oss_plugins.tui.answer", "oss.turn.attachments")


async def open_talk(screen: ChatScreen) -> None:
    """Open what the command line asks for."""
    start = screen.start
    warnings: list[str] = []
    # What the first answer needs, imported while a person still writes the question.
    for module in ("oss.store", "oss.turn.talk", *FIRST_ANSWER):
        await asyncio.to_thread(import_module, module)
    from oss.store import Store
    from oss.turn.talk import Talk

    plugins = start.plugins
    if plugins is None:
        from oss.plugins.manager import load_plugins

        plugins = await asyncio.to_thread(load_plugins, warnings.append)
    store, conversation = None, start.conversation
    try:
        store = await asyncio.to_thread(Store)
        if start.go_on and (last := store.last()):
            conversation = last.id
        screen.sidebar.store = await asyncio.to_thread(Store)
    except OssError as error:
        screen.refused(error)
    screen.talk_if_open = Talk(plugins, store, keep=start.keep)
    await choose(screen, start.choices, conversation)
    from oss_plugins.tui.markdown import read

    await asyncio.to_thread(read, "```python\nx\n```", 0)  # a first parser and lexer are slow
    for line in warnings:
        screen.refused(ConfigError(line))


async def choose(screen: ChatScreen, choices: Choices, conversation: int | None = None) -> None:
    """Begin with choices, and load the model behind the screen."""
    screen.show_status("opening")
    screen.opening = True
    try:
        await screen.talk.begin(choices, conversation)
    except OssError as error:
        screen.opening = False
        screen.show_status()
        if isinstance(error, ModelError) and await _fetch_one(screen, choices):
            await choose(screen, choices, conversation)
        else:
            screen.refused(error)
        return
    screen.opening = False
    screen.talk.chat.session.load()
    screen.opened.set()
    screen.show_talk()


async def _fetch_one(screen: ChatScreen, choices: Choices) -> bool:
    """Offer to fetch a model, if that is what is missing; whether there is one now."""
    from oss.models import fetchable
    from oss.profile import resolve_profile
    from oss_plugins.tui.fetching import FetchModel

    plugins = screen.talk.plugins
    resolved = resolve_profile(choices.profile, sets=choices.all_sets(), plugins=plugins)
    entries = await asyncio.to_thread(fetchable, resolved.profile.model, plugins)
    if not entries:
        return False
    return await screen.app.push_screen_wait(FetchModel(entries, plugins)) is not None
