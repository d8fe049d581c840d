"""Going to another conversation, renaming, deleting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from oss.contracts.errors import OssError
from oss.turn.untrusted import printable
from oss_plugins.tui.dialogs import AskText, AskYes
from oss_plugins.tui.records import records_of

if TYPE_CHECKING:
    from oss.store import Store
    from oss_plugins.tui.chat_screen import ChatScreen
    from oss_plugins.tui.records import Record


async def show(screen: ChatScreen) -> None:
    """Put the turns of the present conversation on the screen."""
    store, number = screen.talk.store, screen.talk.chat.conversation_id
    records: list[Record] = []
    if store is not None and number is not None:
        records = await asyncio.to_thread(_read, store, number)
    await screen.turns.show(records, number)


def _read(store: Store, number: int) -> list[Record]:
    return records_of(store.turns(number))


async def go_to(screen: ChatScreen, number: int, turn_id: int | None) -> None:
    """Go on with a conversation.

    :param turn_id: to be brought into view; one that was taken back opens as a fork.
    """
    talk = screen.talk
    try:
        if talk.choices.profile is None or not talk.ready:
            await talk.begin(talk.choices, number)
        else:
            await asyncio.to_thread(talk.go_to, number)
        store = talk.store
        if turn_id is not None and store is not None:
            kept = [turn.id for turn in await asyncio.to_thread(store.turns, number)]
            question = "This was taken back later. Open it as a conversation of its own?"
            if turn_id not in kept:
                if not await screen.app.push_screen_wait(AskYes(question)):
                    return
                forked = await asyncio.to_thread(store.fork, turn_id)
                await asyncio.to_thread(talk.go_to, forked)
    except OssError as error:
        screen.refused(error)
        return
    screen.opened.set()
    talk.chat.session.load()
    await show(screen)
    if turn_id is not None:
        screen.turns.go_to_turn(turn_id)
    if screen.has_class("-narrow"):
        screen.set_class(False, "-side")
    screen.show_talk()
    screen.prompt.focus()


async def change(screen: ChatScreen, number: int, title: str, what: str) -> None:
    """Rename or delete."""
    talk = screen.talk
    store = talk.store
    if store is None:
        return
    try:
        if what == "rename":
            given = await screen.app.push_screen_wait(AskText("A new title", title))
            if given is not None:
                await asyncio.to_thread(store.rename, number, given)
        elif await screen.app.push_screen_wait(AskYes(f"Delete '{printable(title)}' for good?")):
            if talk.ready and talk.chat.conversation_id == number:
                talk.chat.clear()
                await screen.turns.show([], None)
            await asyncio.to_thread(store.delete, number)
    except OssError as error:
        screen.refused(error)
    screen.sidebar.reload(talk.chat.conversation_id if talk.ready else None)
