"""The screen of the chat: conversations, turns, the prompt, the inspector.

What a turn does is said by the core; this shows it. Whatever the first picture can do without is
imported when it is wanted.
"""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer
from textual.worker import WorkerCancelled, WorkerFailed

from oss.contracts.errors import ConfigError, OssError
from oss_plugins.tui.history import History
from oss_plugins.tui.keys import bindings
from oss_plugins.tui.prompt import Prompt
from oss_plugins.tui.sidebar import Sidebar
from oss_plugins.tui.status import BUSY, Status, Told

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.worker import Worker

    from oss.turn.talk import Talk
    from oss_plugins.tui.app import Start
    from oss_plugins.tui.links import Link
    from oss_plugins.tui.records import Record
    from oss_plugins.tui.slider import Slider
    from oss_plugins.tui.turns import TurnView

SIDEBAR_FROM = 100
"""Columns from which the conversations stand beside the chat from the start."""
INSPECTOR_FROM = 132
SOON_S = 0.05
"""After the first picture, what it left out is made: a key that is pressed at once comes first."""


class ChatScreen(Screen[None]):
    """Everything at once.

    :param width: of the terminal, in columns.
    :ivar talk_if_open: the talk, once it is open.
    :ivar opening: whether it is about to be.
    :ivar opened: set once something can be answered.
    :ivar answering: makes the answer that comes now, or made the last.
    :ivar allowed: tools that need not be asked for.
    :ivar editing: the turn whose prompt is being edited.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("anywhere")]
    AUTO_FOCUS = "Prompt"

    class Finished(Message):
        """A turn came to its end, one way or another."""

        def __init__(self, view: TurnView) -> None:
            super().__init__()
            self.view = view

    class Opened(Message):
        """The talk is open, or open with other choices."""

    class Refused(Message):
        """Something could not be done."""

        def __init__(self, error: OssError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, start: Start, width: int) -> None:
        shown = {
            "-narrow": width < SIDEBAR_FROM,
            "-wide": width >= SIDEBAR_FROM,
            "-side": width >= SIDEBAR_FROM,
            "-inspect": width >= INSPECTOR_FROM,
        }
        super().__init__(classes=" ".join(name for name, given in shown.items() if given))
        self.start = start
        self.talk_if_open: Talk | None = None
        self.opening = True
        self.opened = asyncio.Event()
        self.answering: Worker[None] | None = None
        self.allowed: set[str] = set()
        self.editing: Record | None = None

    def compose(self) -> ComposeResult:
        yield Status("oss  starting…", id="status", markup=False)
        with Horizontal(id="main"):
            yield Sidebar()
            with Vertical(id="middle"):
                yield History(id="turns")
                yield Prompt("Ask something; / for commands", self.start.keys)
            yield Vertical(id="inspector")
        yield Vertical(id="foot")

    # Parts.

    @property
    def talk(self) -> Talk:
        """The talk.

        :raises ConfigError: it is not open yet.
        """
        if self.talk_if_open is None:
            raise ConfigError("oss is still starting", hint="try again in a moment")
        return self.talk_if_open

    @property
    def turns(self) -> History:
        """The turns of the conversation."""
        return self.query_one(History)

    @property
    def sidebar(self) -> Sidebar:
        """The conversations."""
        return self.query_one(Sidebar)

    @property
    def prompt(self) -> Prompt:
        """Where a person writes."""
        return self.query_one(Prompt)

    @property
    def busy(self) -> bool:
        """Whether an answer is coming."""
        return self.answering is not None and not self.answering.is_finished

    # Beginning and end.

    def on_mount(self) -> None:
        """A prompt first; what takes time, behind it."""
        self.call_after_refresh(lambda: self.set_timer(SOON_S, self._furnish))

    def _furnish(self) -> None:
        self._work(self._begin(), "open")

    def _work(self, work: Coroutine[Any, Any, None], group: str = "command") -> None:
        self.run_worker(work, group=group)

    async def _begin(self) -> None:
        if not gc.isenabled():  # the command line paused it
            gc.freeze()  # what is here stays: it need not be looked through in mid-answer
            gc.enable()
        self.app.stylesheet.read(Path(__file__).with_name("later.tcss"))
        await self.sidebar.fill()
        await self.query_one("#foot").mount(Footer(show_command_palette=True, compact=True))
        self.refresh_bindings()
        await self.query_one("#middle").mount(Told(id="told"), before=self.prompt)
        from oss_plugins.tui.inspector import Inspector
        from oss_plugins.tui.opening import open_talk

        await self.query_one("#inspector").mount(Inspector())
        await open_talk(self)

    async def close(self) -> None:
        """Stop what runs, keep what came, free the engine."""
        if self.answering is not None and not self.answering.is_finished:
            self.answering.cancel()
            with suppress(WorkerCancelled, WorkerFailed):
                await self.answering.wait()
        if self.talk_if_open is not None:
            await self.talk_if_open.close()
        self.sidebar.on_unmount()
        self.on_unmount()

    def on_unmount(self) -> None:
        """Close the store, also where the screen goes without :meth:`close`."""
        if self.talk_if_open is not None and self.talk_if_open.store is not None:
            self.talk_if_open.store.close()

    def show_talk(self) -> None:
        """Have what is open shown."""
        self.post_message(self.Opened())

    async def on_chat_screen_opened(self) -> None:
        """Show what is open."""
        from oss_plugins.tui.conversations import show

        talk = self.talk
        if self.turns.conversation_id != talk.chat.conversation_id:
            await show(self)
        self.show_status()
        self.sidebar.reload(talk.chat.conversation_id)
        await self.inspect()

    # Saying.

    async def on_prompt_sent(self, event: Prompt.Sent) -> None:
        """A command, or something to answer."""
        from oss_plugins.tui.answering import say
        from oss_plugins.tui.turn_actions import take_back

        self.tell("")
        if self.busy:
            self.prompt.set_text(event.text)
            self.tell(BUSY)
            return
        if event.text.startswith("/"):
            from oss_plugins.tui.commands import run

            self._work(run(self, event.text))
            return
        talk = self.talk_if_open
        if talk is not None and not talk.ready and not self.opening:
            from oss_plugins.tui.opening import choose

            self.prompt.set_text(event.text)
            self._work(choose(self, self.start.choices), "open")
            return
        if self.editing is not None:
            record, self.editing = self.editing, None
            await take_back(self, record.before)
        await say(self, event.text)

    async def on_turn_view_arrived(self, event: TurnView.Arrived) -> None:
        """Put what came on the screen."""
        first = not event.view.record.answer
        await event.view.drain()
        if first and event.view is self.turns.last and event.view.record.state == "running":
            self.show_status("answering")

    def finished(self, view: TurnView) -> None:
        """Have the end of a turn shown."""
        self.post_message(self.Finished(view))

    async def on_chat_screen_finished(self, event: Finished) -> None:
        """The last of it, and how it ended."""
        await event.view.finish()
        self.turns.prune()
        self.show_status()
        if self.query_one(Told).line == BUSY:
            self.tell("")
        if self.talk_if_open is not None and self.talk_if_open.ready:
            self.sidebar.reload(self.talk.chat.conversation_id)
        await self.inspect(event.view.record)

    # What a person asks of something on the screen.

    async def on_turn_view_asked(self, event: TurnView.Asked) -> None:
        """Do it."""
        from oss_plugins.tui.turn_actions import act

        await act(self, event.view, event.what)

    def on_link_opened(self, event: Link.Opened) -> None:
        """A passage, or something of the inspector, whole."""
        from oss_plugins.tui.dialogs import ShowText

        self.app.push_screen(ShowText(event.title, event.text))

    def on_slider_moved(self, event: Slider.Moved) -> None:
        """The next turn runs with this scale."""
        self.talk.chat.session.scales[event.name] = event.value

    def on_sidebar_opened(self, event: Sidebar.Opened) -> None:
        """Go on with it."""
        from oss_plugins.tui.conversations import go_to

        if self.busy:
            self.tell(BUSY)
            return
        self._work(go_to(self, event.row.conversation_id, event.row.turn_id))

    def on_sidebar_wanted(self, event: Sidebar.Wanted) -> None:
        """Rename or delete."""
        from oss_plugins.tui.conversations import change

        self._work(change(self, event.row.conversation_id, event.row.title, event.what))

    def on_sidebar_trouble(self, event: Sidebar.Trouble) -> None:
        """The store cannot be read."""
        self.refused(event.error)

    def on_prompt_to_turns(self) -> None:
        """To the last turn."""
        if self.turns.last is not None:
            self.turns.last.focus()

    # Actions with keys.

    async def action_new(self) -> None:
        """A new conversation."""
        await self.on_prompt_sent(Prompt.Sent("/clear"))
        self.prompt.focus()

    def action_retry(self) -> None:
        """Answer the last prompt again."""
        from oss_plugins.tui.turn_actions import again

        if self.busy:
            self.tell(BUSY)
        elif self.turns.last is not None:
            self._work(again(self, self.turns.last.record))

    def action_stop(self) -> None:
        """Stop the answer, else leave what one is at."""
        if self.busy and self.answering is not None:
            self.answering.cancel()
            return
        if self.editing is not None:
            self.editing = None
            self.prompt.set_text("")
        if self.has_class("-narrow"):
            self.remove_class("-side", "-inspect")
        self.tell("")
        self.prompt.focus()

    def action_search(self) -> None:
        """Search the conversations."""
        self.add_class("-side")
        self._one_at_a_time("-inspect")
        self.sidebar.search()

    def action_conversations(self) -> None:
        """Show or hide them."""
        self.toggle_class("-side")
        self._one_at_a_time("-inspect")
        if self.has_class("-side"):
            self.sidebar.enter()
        else:
            self.prompt.focus()

    def action_inspector(self) -> None:
        """Show or hide it."""
        self.toggle_class("-inspect")
        self._one_at_a_time("-side")

    def _one_at_a_time(self, other: str) -> None:
        if self.has_class("-narrow"):
            self.remove_class(other)

    def action_help(self) -> None:
        """Keys and commands."""
        from oss_plugins.tui.dialogs import ShowText
        from oss_plugins.tui.help import help_content

        self.app.push_screen(ShowText("Help", help_content(self.start.keys)))

    def action_pick(self, kind: str) -> None:
        """Another profile, persona, model or adapter."""
        from oss_plugins.tui.commands import pick

        self._work(pick(self, kind))

    def action_compare(self) -> None:
        """One prompt, two profiles."""
        from oss_plugins.tui.compare import CompareScreen

        if self.talk_if_open is not None:
            talk = self.talk_if_open
            self.app.push_screen(CompareScreen(talk.plugins, talk.choices, self.start.keys))

    def action_attach(self) -> None:
        """Ask for a file."""
        from oss_plugins.tui.commands import ask_file

        self._work(ask_file(self))

    # Saying how things stand.

    def refused(self, error: OssError) -> None:
        """Have an error shown, in place."""
        self.post_message(self.Refused(error))

    def on_chat_screen_refused(self, event: Refused) -> None:
        """In place, in a line or two."""
        self.show_status()
        for told in self.query(Told):
            told.tell_error(event.error)

    def tell(self, line: str) -> None:
        """A remark above the prompt; an empty one takes the last away."""
        for told in self.query(Told):  # none before the first picture
            told.tell(line)

    def show_status(self, doing: str = "") -> None:
        """The line at the top."""
        self.query_one(Status).show(self.talk_if_open, doing, kept=self.start.keep)

    async def inspect(self, record: Record | None = None) -> None:
        """Show what a turn did; the last, where none is given."""
        from oss_plugins.tui.inspector import Inspector

        inspector = self.query_one(Inspector)
        if record is None and self.turns.last is not None:
            record = self.turns.last.record
        await inspector.show_turn(record)
        if self.talk_if_open is not None and self.talk_if_open.ready:
            await inspector.show_made(self.talk.made, self.talk.chat.session.scales)
