"""A prompt is sent, and its answer comes."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from oss.contracts.errors import OssError
from oss.turn.attachments import user_message
from oss_plugins.tui.dialogs import AskConsent
from oss_plugins.tui.faults import keep_fault
from oss_plugins.tui.records import Record
from oss_plugins.tui.turns import TurnView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.contracts.messages import ToolCall
    from oss.turn.attachments import Attachment
    from oss_plugins.tui.chat_screen import ChatScreen


async def say(screen: ChatScreen, prompt: str) -> None:
    """Put a prompt on the screen, and let its answer come behind it."""
    talk = screen.talk_if_open
    attached = talk.take_attached() if talk is not None else []
    view = TurnView(Record(user_message(prompt, attached).content, 0))
    await screen.turns.add(view)
    screen.answering = screen.run_worker(
        _answer(screen, view, prompt, attached), group="turn", exit_on_error=False
    )
    screen.show_status("answering")


async def _answer(
    screen: ChatScreen, view: TurnView, prompt: str, attached: Sequence[Attachment]
) -> None:
    record = view.record
    try:
        await screen.opened.wait()
        chat, made = screen.talk.chat, screen.talk.made
        record.before = chat.answered
        record.profile, record.persona = made.resolved.name, made.persona
        record.model, record.backend = made.choice.model.name, made.backend_name
        screen.turns.conversation_id = chat.conversation_id
        events = chat.say(prompt, attachments=attached, consent=_Consent(screen).ask)
        record.state = "running"
        async with aclosing(events):
            async for event in events:
                view.feed.put(event)
        record.context = (await chat.session.engine()).info.context
    except asyncio.CancelledError:
        record.state = "cancelled"
        raise
    except OssError as error:
        record.state, record.error, record.hint = "failed", error.message, error.hint or ""
    except Exception as error:  # noqa: BLE001  an engine may raise anything; the chat goes on
        record.state = "failed"
        record.error = f"{type(error).__name__}: {error}"
        record.hint = f"a fault in the program: see {keep_fault(error)}"
    finally:
        talk = screen.talk_if_open
        if talk is not None and talk.ready:
            record.turn_id = talk.chat.turn_id
            screen.turns.conversation_id = talk.chat.conversation_id
        screen.finished(view)


class _Consent:
    """Asks whether a tool may run."""

    def __init__(self, screen: ChatScreen) -> None:
        self._screen = screen

    async def ask(self, call: ToolCall) -> bool:
        allowed = self._screen.allowed
        if call.name in allowed:
            return True
        answer = await self._screen.app.push_screen_wait(AskConsent(call))
        if answer == "always":
            allowed.add(call.name)
        return answer in ("yes", "always")
