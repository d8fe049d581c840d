"""What a person asks of a turn: copy, edit, answer again, fork, open what it cites."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from oss.contracts.errors import OssError
from oss_plugins.tui.answering import say
from oss_plugins.tui.dialogs import Item, Pick
from oss_plugins.tui.markdown import code_blocks
from oss_plugins.tui.status import BUSY

if TYPE_CHECKING:
    from oss_plugins.tui.chat_screen import ChatScreen
    from oss_plugins.tui.records import Record
    from oss_plugins.tui.turns import TurnView


async def act(screen: ChatScreen, view: TurnView, what: str) -> None:
    """Do what was asked."""
    record = view.record
    if what == "inspect":
        await screen.inspect(record)
    elif what in ("above", "below"):
        if not screen.turns.step(view, -1 if what == "above" else 1):
            screen.prompt.focus()
    elif what == "copy":
        copy(screen, record.answer, "the answer")
    elif what == "copy_code":
        screen.run_worker(_copy_code(screen, record))
    elif screen.busy:
        screen.tell(BUSY)
    elif what == "edit":
        screen.editing = record
        screen.prompt.set_text(record.prompt)
        screen.prompt.focus()
        screen.tell("edit and send: what came after is taken back; Esc leaves it as it is")
    elif what == "again":
        screen.run_worker(again(screen, record), group="command")
    elif what == "fork":
        screen.run_worker(_fork(screen, record), group="command")


async def take_back(screen: ChatScreen, answered: int) -> None:
    """Back to where so many turns were answered."""
    await asyncio.to_thread(screen.talk.chat.rewind, answered)
    await screen.turns.cut(answered)


async def again(screen: ChatScreen, record: Record) -> None:
    """Answer the same prompt once more; what came after is taken back."""
    await take_back(screen, record.before)
    await say(screen, record.prompt)
    screen.prompt.focus()


async def _fork(screen: ChatScreen, record: Record) -> None:
    talk = screen.talk
    if talk.store is None or record.turn_id is None:
        screen.tell("nothing of this conversation is kept, so there is nothing to fork")
        return
    try:
        number = await asyncio.to_thread(talk.store.fork, record.turn_id)
        await asyncio.to_thread(talk.go_to, number)
    except OssError as error:
        screen.refused(error)
        return
    screen.show_talk()
    screen.tell("a new conversation that begins with the turns up to here")
    screen.prompt.focus()


def copy(screen: ChatScreen, text: str, what: str) -> None:
    """To the clipboard, by the terminal."""
    if not text:
        screen.tell("there is nothing to copy")
        return
    screen.app.copy_to_clipboard(text)
    screen.tell(f"copied: {what}, {len(text)} characters")


async def _copy_code(screen: ChatScreen, record: Record) -> None:
    blocks = code_blocks(record.answer)
    if len(blocks) > 1:
        items = [
            Item(str(number), " ".join(block.split())[:60])
            for number, block in enumerate(blocks, 1)
        ]
        chosen = await screen.app.push_screen_wait(Pick("Copy which block?", items))
        if chosen is None:
            return
        blocks = [blocks[int(chosen) - 1]]
    copy(screen, blocks[0] if blocks else "", "a code block")
