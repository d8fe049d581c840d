"""``/`` commands, and the questions that end in one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from oss.contracts.errors import OssError
from oss.turn.commands import run_command
from oss_plugins.tui.answering import say
from oss_plugins.tui.choosing import choices_of
from oss_plugins.tui.dialogs import AskText, Pick, ShowText
from oss_plugins.tui.status import BUSY

if TYPE_CHECKING:
    from oss_plugins.tui.chat_screen import ChatScreen


async def run(screen: ChatScreen, line: str) -> None:
    """Run a line that begins with a slash."""
    try:
        reply = await run_command(screen.talk, line)
    except OssError as error:
        screen.refused(error)
        return
    if reply.leave:
        await screen.app.action_quit()
        return
    chat = screen.talk.chat
    screen.opened.set()
    chat.session.load()
    await screen.turns.cut(chat.answered)
    screen.turns.conversation_id = chat.conversation_id
    screen.show_talk()
    if reply.text:
        screen.app.push_screen(ShowText(line, reply.text))
    screen.tell(reply.note)
    if reply.prompt is not None:
        await say(screen, reply.prompt)


async def pick(screen: ChatScreen, kind: str) -> None:
    """Another profile, persona, model or adapter, from a list."""
    if screen.busy:
        screen.tell(BUSY)
        return
    try:
        items, current = await asyncio.to_thread(choices_of, kind, screen.talk)
    except OssError as error:
        screen.refused(error)
        return
    chosen = await screen.app.push_screen_wait(Pick(f"Go on with which {kind}?", items, current))
    if chosen is not None:
        await run(screen, f"/{kind} {chosen}")


async def ask_file(screen: ChatScreen) -> None:
    """A file for the next prompt."""
    given = await screen.app.push_screen_wait(AskText("Attach which file?"))
    if given is not None:
        await run(screen, f"/file {given}")
