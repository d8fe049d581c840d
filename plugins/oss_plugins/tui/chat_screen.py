"""The screen of the chat: conversations, turns, the prompt, the inspector."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Input, Static
from textual.worker import WorkerCancelled, WorkerFailed

from oss.contracts.errors import ConfigError, ModelError, OssError
from oss.turn.attachments import user_message
from oss.turn.untrusted import printable
from oss_plugins.tui.dialogs import AskConsent, AskText, AskYes, Item, Pick, ShowText
from oss_plugins.tui.faults import keep_fault
from oss_plugins.tui.history import History
from oss_plugins.tui.inspector import Inspector, Link
from oss_plugins.tui.keys import bindings
from oss_plugins.tui.prompt import Prompt
from oss_plugins.tui.records import Record, records_of
from oss_plugins.tui.sidebar import Sidebar
from oss_plugins.tui.turns import TurnView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.widgets import Markdown
    from textual.worker import Worker

    from oss.contracts.messages import ToolCall
    from oss.turn.attachments import Attachment
    from oss.turn.choices import Choices
    from oss.turn.commands import Reply
    from oss.turn.talk import Talk
    from oss_plugins.tui.app import Start
    from oss_plugins.tui.slider import Slider


class ChatScreen(Screen[None]):
    """Everything at once. What a turn does is said by the core; this shows it."""

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

    def __init__(self, start: Start) -> None:
        super().__init__()
        self._start = start
        self._talk: Talk | None = None
        self._opening = True
        self._open = asyncio.Event()
        self._answering: Worker[None] | None = None
        self._allowed: set[str] = set()
        self._editing: Record | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="status")
        with Horizontal(id="main"):
            yield Sidebar()
            with Vertical(id="middle"):
                yield History(id="turns")
                with Vertical(id="writing"):
                    yield Static(id="told")
                    yield Prompt("Ask something; / for commands", self._start.keys)
            yield Inspector()
        yield Footer(show_command_palette=True, compact=True)

    # Parts.

    @property
    def talk(self) -> Talk:
        """The talk.

        :raises ConfigError: it is not open yet.
        """
        if self._talk is None:
            raise ConfigError("oss is still starting", hint="try again in a moment")
        return self._talk

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
        return self._answering is not None and not self._answering.is_finished

    # Beginning and end.

    def on_mount(self) -> None:
        """A prompt first; what takes time, behind it."""
        self.set_class(self.app.size.width >= 100, "-side")
        self.set_class(self.app.size.width >= 132, "-inspect")
        self._status("starting")
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self.run_worker(self._open_talk(), group="open")

    async def _open_talk(self) -> None:
        from oss.store import Store
        from oss.turn.talk import Talk

        start = self._start
        warnings: list[str] = []
        # What the first answer needs, imported while a person still writes the question.
        await asyncio.to_thread(import_module, "oss_plugins.tui.answer")
        plugins = start.plugins
        if plugins is None:
            from oss.plugins.manager import load_plugins

            plugins = await asyncio.to_thread(load_plugins, warnings.append)
        store, conversation = None, start.conversation
        try:
            store = Store()
            if start.go_on and (last := store.last()):
                conversation = last.id
        except OssError as error:
            self.post_message(self.Refused(error))
        self._talk = Talk(plugins, store, keep=start.keep)
        self.sidebar.store = store
        await self._choose(start.choices, conversation)
        for line in warnings:
            self.post_message(self.Refused(ConfigError(line)))

    async def _choose(self, choices: Choices, conversation: int | None = None) -> None:
        """Begin with choices, and load the model behind the screen."""
        self._status("opening")
        self._opening = True
        try:
            await self.talk.begin(choices, conversation)
        except OssError as error:
            self._opening = False
            self._status()
            if isinstance(error, ModelError) and await self._fetch_one(choices):
                await self._choose(choices, conversation)
            else:
                self.post_message(self.Refused(error))
            return
        self.talk.chat.session.load()
        self._open.set()
        self.post_message(self.Opened())

    async def _fetch_one(self, choices: Choices) -> bool:
        """Offer to fetch a model, if that is what is missing; whether there is one now."""
        from oss.models import fetchable
        from oss.profile import resolve_profile
        from oss_plugins.tui.fetching import FetchModel

        plugins = self.talk.plugins
        resolved = resolve_profile(choices.profile, sets=choices.all_sets(), plugins=plugins)
        entries = await asyncio.to_thread(fetchable, resolved.profile.model, plugins)
        if not entries:
            return False
        fetched = await self.app.push_screen_wait(FetchModel(entries, plugins))
        return fetched is not None

    async def close(self) -> None:
        """Stop what runs, keep what came, free the engine."""
        if self._answering is not None and not self._answering.is_finished:
            self._answering.cancel()
            with suppress(WorkerCancelled, WorkerFailed):
                await self._answering.wait()
        if self._talk is not None:
            await self._talk.close()
            if self._talk.store is not None:
                self._talk.store.close()

    async def on_chat_screen_opened(self) -> None:
        """Show what is open."""
        talk = self.talk
        if self.turns.conversation_id != talk.chat.conversation_id:
            await self._show_conversation()
        self._status()
        self.sidebar.reload(talk.chat.conversation_id)
        await self._inspect()

    async def _show_conversation(self) -> None:
        chat = self.talk.chat
        store, number = self.talk.store, chat.conversation_id
        kept = store.turns(number) if store is not None and number is not None else []
        await self.turns.show(records_of(kept), number)

    # Saying.

    async def on_prompt_sent(self, event: Prompt.Sent) -> None:
        """A command, or something to answer."""
        self._tell("")
        if self.busy:
            self.prompt.set_text(event.text)
            self._tell("an answer is coming: Esc stops it")
            return
        if event.text.startswith("/"):
            self.run_worker(self._command(event.text), group="command")
            return
        if self._talk is not None and not self._talk.ready and not self._opening:
            self.prompt.set_text(event.text)
            self.run_worker(self._choose(self._start.choices), group="open")
            return
        if self._editing is not None:
            record, self._editing = self._editing, None
            await self._take_back(record.before)
        await self._say(event.text)

    async def _say(self, prompt: str) -> None:
        attached = self._talk.take_attached() if self._talk is not None else []
        view = TurnView(Record(user_message(prompt, attached).content, 0))
        await self.turns.add(view)
        self._answering = self.run_worker(
            self._answer(view, prompt, attached), group="turn", exit_on_error=False
        )
        self._status("answering")

    async def _answer(self, view: TurnView, prompt: str, attached: Sequence[Attachment]) -> None:
        record = view.record
        try:
            await self._open.wait()
            chat, made = self.talk.chat, self.talk.made
            record.before = chat.answered
            record.profile, record.persona = made.resolved.name, made.persona
            record.model, record.backend = made.choice.model.name, made.backend_name
            self.turns.conversation_id = chat.conversation_id
            events = chat.say(prompt, attachments=attached, consent=self._consent)
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
            if self._talk is not None and self._talk.ready:
                record.turn_id = self.talk.chat.turn_id
                self.turns.conversation_id = self.talk.chat.conversation_id
            self.post_message(self.Finished(view))

    async def on_turn_view_arrived(self, event: TurnView.Arrived) -> None:
        """Put what came on the screen."""
        state = event.view.record.state
        await event.view.drain()
        if state == "running" and event.view is self.turns.last:
            self._status("answering")

    async def on_chat_screen_finished(self, event: Finished) -> None:
        """The last of it, and how it ended."""
        state = event.view.record.state
        await event.view.drain()
        if state != "running":
            event.view.record.state = state
        event.view.settle()
        self.turns.prune()
        self._status()
        if self._talk is not None and self._talk.ready:
            self.sidebar.reload(self.talk.chat.conversation_id)
        await self._inspect(event.view.record)

    async def _consent(self, call: ToolCall) -> bool:
        if call.name in self._allowed:
            return True
        answer = await self.app.push_screen_wait(AskConsent(call))
        if answer == "always":
            self._allowed.add(call.name)
        return answer in ("yes", "always")

    async def _take_back(self, answered: int) -> None:
        """Back to where so many turns were answered."""
        self.talk.chat.rewind(answered)
        await self.turns.cut(answered)

    # Commands.

    async def _command(self, line: str) -> None:
        from oss.turn.commands import run_command

        try:
            reply = await run_command(self.talk, line)
        except OssError as error:
            self.post_message(self.Refused(error))
            return
        if reply.leave:
            await self.app.action_quit()
            return
        await self._replied(line, reply)

    async def _replied(self, line: str, reply: Reply) -> None:
        chat = self.talk.chat
        self._open.set()
        chat.session.load()
        await self.turns.cut(chat.answered)
        self.turns.conversation_id = chat.conversation_id
        self.post_message(self.Opened())
        if reply.text:
            self.app.push_screen(ShowText(line, reply.text))
        self._tell(reply.note)
        if reply.prompt is not None:
            await self._say(reply.prompt)

    # What a person asks of a turn.

    async def on_turn_view_asked(self, event: TurnView.Asked) -> None:
        """Do it."""
        record, what = event.view.record, event.what
        if what == "inspect":
            await self._inspect(record)
        elif what in ("above", "below"):
            if not self.turns.step(event.view, -1 if what == "above" else 1):
                self.prompt.focus()
        elif what == "copy":
            self._copy(record.answer, "the answer")
        elif what == "copy_code":
            self.run_worker(self._copy_code(record))
        elif self.busy:
            self._tell("an answer is coming: Esc stops it")
        elif what == "edit":
            self._editing = record
            self.prompt.set_text(record.prompt)
            self.prompt.focus()
            self._tell("edit and send: what came after is taken back; Esc leaves it as it is")
        elif what == "again":
            await self._again(record)
        elif what == "fork":
            await self._fork(record)

    async def _again(self, record: Record) -> None:
        await self._take_back(record.before)
        await self._say(record.prompt)
        self.prompt.focus()

    async def _fork(self, record: Record) -> None:
        store = self.talk.store
        if store is None or record.turn_id is None:
            self._tell("nothing of this conversation is kept, so there is nothing to fork")
            return
        try:
            self.talk.go_to(store.fork(record.turn_id))
        except OssError as error:
            self.post_message(self.Refused(error))
            return
        self.post_message(self.Opened())
        self._tell("a new conversation that begins with the turns up to here")
        self.prompt.focus()

    def _copy(self, text: str, what: str) -> None:
        if not text:
            self._tell("there is nothing to copy")
            return
        self.app.copy_to_clipboard(text)
        self._tell(f"copied: {what}, {len(text)} characters")

    async def _copy_code(self, record: Record) -> None:
        from oss_plugins.tui.answer import code_blocks

        blocks = code_blocks(record.answer)
        if len(blocks) > 1:
            items = [
                Item(str(number), " ".join(block.split())[:60])
                for number, block in enumerate(blocks, 1)
            ]
            chosen = await self.app.push_screen_wait(Pick("Copy which block?", items))
            if chosen is None:
                return
            blocks = [blocks[int(chosen) - 1]]
        self._copy(blocks[0] if blocks else "", "a code block")

    async def on_markdown_link_clicked(self, event: Markdown.LinkClicked) -> None:
        """A citation opens its passage; another link is copied, never followed by itself."""
        from oss_plugins.tui.answer import CITATION

        event.stop()
        view = next((n for n in event.markdown.ancestors if isinstance(n, TurnView)), None)
        if event.href.startswith(CITATION) and view is not None:
            number = int(event.href.removeprefix(CITATION))
            passage = view.record.passages[number - 1]
            self.app.push_screen(ShowText(f"[{number}] {passage.source}", passage.text))
        else:
            self._copy(event.href, event.href)

    def on_link_opened(self, event: Link.Opened) -> None:
        """Something of the inspector, whole."""
        self.app.push_screen(ShowText(event.title, event.text))

    def on_slider_moved(self, event: Slider.Moved) -> None:
        """The next turn runs with this scale."""
        self.talk.chat.session.scales[event.name] = event.value

    # Conversations.

    async def on_sidebar_opened(self, event: Sidebar.Opened) -> None:
        """Go on with it."""
        if self.busy:
            self._tell("an answer is coming: Esc stops it")
            return
        self.run_worker(self._go_to(event.row.conversation_id, event.row.turn_id), group="command")

    async def _go_to(self, number: int, turn_id: int | None) -> None:
        talk = self.talk
        try:
            if talk.choices.profile is None or not talk.ready:
                await talk.begin(talk.choices, number)
            else:
                talk.go_to(number)
            store = talk.store
            if turn_id is not None and store is not None:
                kept = [turn.id for turn in store.turns(number)]
                question = "This was taken back later. Open it as a conversation of its own?"
                if turn_id not in kept:
                    if not await self.app.push_screen_wait(AskYes(question)):
                        return
                    talk.go_to(store.fork(turn_id))
        except OssError as error:
            self.post_message(self.Refused(error))
            return
        self._open.set()
        talk.chat.session.load()
        await self._show_conversation()
        if turn_id is not None:
            self.turns.go_to_turn(turn_id)
        if self.has_class("-narrow"):
            self.set_class(False, "-side")
        self.post_message(self.Opened())
        self.prompt.focus()

    async def on_sidebar_wanted(self, event: Sidebar.Wanted) -> None:
        """Rename or delete."""
        self.run_worker(self._change(event.row.conversation_id, event.row.title, event.what))

    async def _change(self, number: int, title: str, what: str) -> None:
        store = self.talk.store
        if store is None:
            return
        try:
            if what == "rename":
                given = await self.app.push_screen_wait(AskText("A new title", title))
                if given is not None:
                    store.rename(number, given)
            elif await self.app.push_screen_wait(AskYes(f"Delete '{printable(title)}' for good?")):
                if self.talk.ready and self.talk.chat.conversation_id == number:
                    self.talk.chat.clear()
                    await self.turns.show([], None)
                store.delete(number)
        except OssError as error:
            self.post_message(self.Refused(error))
        self.sidebar.reload(self.talk.chat.conversation_id if self.talk.ready else None)

    def on_sidebar_trouble(self, event: Sidebar.Trouble) -> None:
        """The store cannot be read."""
        self._tell_error(event.error)

    # Actions with keys.

    async def action_new(self) -> None:
        """A new conversation."""
        await self.on_prompt_sent(Prompt.Sent("/clear"))
        self.prompt.focus()

    async def action_retry(self) -> None:
        """Answer the last prompt again."""
        if self.busy:
            self._tell("an answer is coming: Esc stops it")
        elif self.turns.last is not None:
            await self._again(self.turns.last.record)

    def action_stop(self) -> None:
        """Stop the answer, else leave what one is at."""
        if self.busy and self._answering is not None:
            self._answering.cancel()
            return
        if self._editing is not None:
            self._editing = None
            self.prompt.set_text("")
        if self.has_class("-narrow"):
            self.remove_class("-side", "-inspect")
        self._tell("")
        self.prompt.focus()

    def action_search(self) -> None:
        """Search the conversations."""
        self.add_class("-side")
        self.sidebar.query_one(Input).focus()

    def action_conversations(self) -> None:
        """Show or hide them."""
        self.toggle_class("-side")
        self._one_at_a_time("-inspect")
        if self.has_class("-side"):
            self.sidebar.shown.focus()
        else:
            self.prompt.focus()

    def action_inspector(self) -> None:
        """Show or hide it."""
        self.toggle_class("-inspect")
        self._one_at_a_time("-side")

    def _one_at_a_time(self, other: str) -> None:
        if self.has_class("-narrow"):
            self.remove_class(other)

    async def action_help(self) -> None:
        """Keys and commands."""
        from oss_plugins.tui.help import help_content

        self.app.push_screen(ShowText("Help", help_content(self._start.keys)))

    def action_theme(self) -> None:
        """Light or dark."""
        self.app.action_theme()  # type: ignore[attr-defined]

    async def action_leave(self) -> None:
        """End."""
        await self.app.action_quit()

    def action_profile(self) -> None:
        """Another profile."""
        self.run_worker(self._pick("profile"), group="command")

    def action_persona(self) -> None:
        """Another persona."""
        self.run_worker(self._pick("persona"), group="command")

    def action_model(self) -> None:
        """Another model."""
        self.run_worker(self._pick("model"), group="command")

    def action_adapter(self) -> None:
        """Another adapter."""
        self.run_worker(self._pick("adapter"), group="command")

    async def _pick(self, kind: str) -> None:
        from oss_plugins.tui.choosing import choices_of

        if self.busy:
            self._tell("an answer is coming: Esc stops it")
            return
        try:
            items, current = await asyncio.to_thread(choices_of, kind, self.talk)
        except OssError as error:
            self.post_message(self.Refused(error))
            return
        chosen = await self.app.push_screen_wait(Pick(f"Go on with which {kind}?", items, current))
        if chosen is not None:
            await self._command(f"/{kind} {chosen}")

    def action_compare(self) -> None:
        """One prompt, two profiles."""
        from oss_plugins.tui.compare import CompareScreen

        if self._talk is None:
            return
        screen = CompareScreen(self._talk.plugins, self._talk.choices, self._start.keys)
        self.app.push_screen(screen)

    def action_attach(self) -> None:
        """Ask for a file."""
        self.run_worker(self._ask_file(), group="command")

    async def _ask_file(self) -> None:
        given = await self.app.push_screen_wait(AskText("Attach which file?"))
        if given is not None:
            await self._command(f"/file {given}")

    def on_prompt_to_turns(self) -> None:
        """To the last turn."""
        if self.turns.last is not None:
            self.turns.last.focus()

    # Saying how things stand.

    def on_chat_screen_refused(self, event: Refused) -> None:
        """In place, in a line or two."""
        self._status()
        self._tell_error(event.error)

    def _tell(self, line: str) -> None:
        told = self.query_one("#told", Static)
        told.update(Content(printable(line)))
        told.set_class(False, "-error")
        told.set_class(bool(line), "-shown")

    def _tell_error(self, error: OssError) -> None:
        told = self.query_one("#told", Static)
        hint = f"\n→ {printable(error.hint)}" if error.hint else ""
        told.update(Content(f"✗ {printable(error.message)}{hint}"))
        told.add_class("-error", "-shown")

    def _status(self, doing: str = "") -> None:
        parts: list[str | tuple[str, str]] = []
        talk = self._talk
        if talk is not None and talk.ready:
            made = talk.made
            parts += [(made.resolved.name, "bold $primary")]
            parts += [f"  {printable(made.choice.model.name)}"]
            if made.persona and made.persona != made.resolved.name:
                parts += [f"  as {printable(made.persona)}"]
            if made.adapters:
                parts += ["  with ", printable(", ".join(a.name for a in made.adapters))]
            if talk.attached:
                parts += [(f"  +{len(talk.attached)} files", "$accent")]
            if not self._start.keep:
                parts += [("  not kept", "$accent")]
            if doing == "answering" and not talk.chat.session.ready:
                doing = "loading the model"
        else:
            parts += [("oss", "bold $primary")]
        if doing:
            parts += [(f"  {doing}…", "$accent")]
        self.query_one("#status", Static).update(Content.assemble(*parts))

    async def _inspect(self, record: Record | None = None) -> None:
        inspector = self.query_one(Inspector)
        if record is None and self.turns.last is not None:
            record = self.turns.last.record
        await inspector.show_turn(record)
        if self._talk is not None and self._talk.ready:
            await inspector.show_made(self.talk.made, self.talk.chat.session.scales)
