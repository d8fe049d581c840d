"""One turn on the screen: what was asked, and what came of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Collapsible, Static

from oss.cli.counting import count
from oss.turn.events import (
    Cited,
    Event,
    Notice,
    PassagesFound,
    Reasoning,
    Text,
    ToolCalled,
    ToolReturned,
)
from oss.turn.untrusted import clean, printable
from oss_plugins.tui.feed import Feed
from oss_plugins.tui.ground import Ground
from oss_plugins.tui.keys import bindings

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from oss_plugins.tui.answer import Answer
    from oss_plugins.tui.records import Record

PROMPT_LINES = 12
"""Of a prompt, on the screen; files that went with it make it long."""


class Body(Vertical, Ground):
    """Where the parts of an answer stand."""


class TurnView(Vertical, Ground, can_focus=True):
    """A turn. Keys act on the turn that has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("turn")]

    class Arrived(Message):
        """Something of a running turn waits to be shown."""

        def __init__(self, view: TurnView) -> None:
            super().__init__()
            self.view = view

    class Asked(Message):
        """A person wants something done with this turn."""

        def __init__(self, view: TurnView, what: str) -> None:
            super().__init__()
            self.view = view
            self.what = what

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.record = record
        self.feed = Feed(self._wake)
        self._answer: Answer | None = None
        self._thought: Static | None = None
        self._fold: Collapsible | None = None
        self._thinking_since = 0.0
        self._tools: dict[str, Static] = {}

    def compose(self) -> ComposeResult:
        yield Static(_prompt_content(self.record.prompt), classes="asked")
        yield Body(classes="body")
        yield Static(classes="foot")

    async def on_mount(self) -> None:
        await self.show_events(self.record.events)
        self.record.events = []
        self.settle()

    def _wake(self, delay: float) -> None:
        if delay > 0:
            self.set_timer(delay, self._arrived)
        else:
            self._arrived()

    def _arrived(self) -> None:
        self.post_message(self.Arrived(self))

    async def drain(self) -> None:
        """Show what has come."""
        begun = time.thread_time()
        events = self.feed.take()
        for event in events:
            self.record.take(event)
        await self.show_events(events)
        # After the layout and the painting that follow, which are the larger part.
        self.call_after_refresh(lambda: self.feed.painted(time.thread_time() - begun))

    async def show_events(self, events: list[Event]) -> None:
        """Put events on the screen, in order."""
        for event in events:
            match event:
                case Text(text=text):
                    await self._text(text)
                case Reasoning(text=text):
                    await self._reason(text)
                case Notice(message=message):
                    await self._line(message, "notice")
                case PassagesFound(passages=passages, left_out=left_out):
                    more = f", {len(left_out)} more did not fit" if left_out else ""
                    found = count(len(passages), "passage")
                    await self._line(f"{found} of your documents{more}", "found")
                case ToolCalled(call=call):
                    self._answer = None
                    line = f"{clean(call.name)} {clean(call.arguments)}"
                    self._tools[call.id] = await self._line(line, "tool")
                case Cited():
                    await self._sources(event)
                case ToolReturned(call=call, result=result, failed=failed):
                    if shown := self._tools.get(call.id):
                        shown.update(_tool_content(call.name, call.arguments, result, failed))

    async def finish(self) -> None:
        """The last of it, and how it ended."""
        state = self.record.state
        await self.drain()
        if state != "running":
            self.record.state = state
        self.settle()

    def settle(self) -> None:
        """Show how the turn stands."""
        record = self.record
        self.set_class(record.state == "running", "-running")
        foot = self.query_one(".foot", Static)
        foot.update(_foot_content(record))
        foot.display = bool(str(foot.visual)) or record.state != "done"
        if self._fold is not None and record.state != "running":
            self._fold.title = "thoughts"

    @property
    def body(self) -> Vertical:
        """Where the answer grows."""
        return self.query_one(".body", Vertical)

    async def _text(self, text: str) -> None:
        if self._answer is None:
            from oss_plugins.tui.answer import Answer

            self._end_thought()
            self._answer = Answer(text.lstrip("\n"), lambda: len(self.record.passages))
            await self.body.mount(self._answer)
        else:
            self._answer.grow(text)

    async def _reason(self, text: str) -> None:
        if self._thought is None or self._fold is None:
            self._thinking_since = time.monotonic()
            self._thought = Static(classes="thought")
            self._fold = Collapsible(self._thought, title="thinking…", collapsed=True)
            await self.body.mount(self._fold)
            self._thoughts = ""
        self._thoughts += printable(text)
        self._thought.update(Content(self._thoughts.strip()))

    def _end_thought(self) -> None:
        if self._fold is not None and self._thought is not None:
            took = time.monotonic() - self._thinking_since
            live = self.record.state == "running"
            self._fold.title = f"thought for {took:.0f} s" if live and took >= 1 else "thoughts"
            self._thought = None

    async def _sources(self, event: Cited) -> None:
        from oss.cli.sources import chosen, taken_out
        from oss_plugins.tui.links import source_link

        title, numbers = chosen(event)
        links = [source_link(number, event.passages[number - 1]) for number in numbers]
        after = [Static(Content(printable(line))) for line in taken_out(event)]
        await self.body.mount(Vertical(Static(title), *links, *after, classes="aside sources"))

    async def _line(self, text: str, kind: str) -> Static:
        marks = {"notice": "·", "found": "◇", "tool": "⚙"}
        line = Static(Content(f"{marks[kind]} {printable(text)}"), classes=f"aside {kind}")
        await self.body.mount(line)
        return line

    def on_answer_link_clicked(self, event: Answer.LinkClicked) -> None:
        """A citation opens its passage; another link is copied, never followed by itself."""
        from oss_plugins.tui.dialogs import ShowText
        from oss_plugins.tui.markdown import CITATION

        event.stop()
        if event.href.startswith(CITATION):
            number = int(event.href.removeprefix(CITATION))
            passage = self.record.passages[number - 1]
            self.app.push_screen(ShowText(f"[{number}] {passage.source}", passage.text))
        else:
            self.app.copy_to_clipboard(event.href)
            self.app.notify(printable(event.href), title="copied", markup=False)

    # What a person may do with a turn; the screen does it.

    def action_copy(self) -> None:
        self.post_message(self.Asked(self, "copy"))

    def action_copy_code(self) -> None:
        self.post_message(self.Asked(self, "copy_code"))

    def action_edit(self) -> None:
        self.post_message(self.Asked(self, "edit"))

    def action_again(self) -> None:
        self.post_message(self.Asked(self, "again"))

    def action_fork(self) -> None:
        self.post_message(self.Asked(self, "fork"))

    def action_above(self) -> None:
        self.post_message(self.Asked(self, "above"))

    def action_below(self) -> None:
        self.post_message(self.Asked(self, "below"))

    def action_thinking(self) -> None:
        """Fold and unfold the thinking."""
        for fold in self.query(Collapsible):
            fold.collapsed = not fold.collapsed

    def on_focus(self) -> None:
        self.post_message(self.Asked(self, "inspect"))


def _prompt_content(prompt: str) -> Content:
    lines = printable(prompt).splitlines()
    if len(lines) <= PROMPT_LINES:
        return Content("\n".join(lines))
    more = len(lines) - PROMPT_LINES
    # The end of it is what was asked; the files stand before.
    return Content.assemble(
        (f"… {more} lines before this", "dim"), "\n", "\n".join(lines[-PROMPT_LINES:])
    )


def _tool_content(name: str, arguments: str, result: str, failed: bool) -> Content:
    lines = clean(result).strip().splitlines() or [""]
    more = f" (+{len(lines) - 1} lines)" if len(lines) > 1 else ""
    mark = "✗" if failed else "✓"
    return Content(f"⚙ {clean(name)} {clean(arguments)}\n  {mark} {lines[0][:200]}{more}")


def _foot_content(record: Record) -> Content:
    if record.error:
        hint = f"\n  → {record.hint}" if record.hint else ""
        return Content.assemble((f"✗ {printable(record.error)}", "bold $error"), hint)
    if record.state == "running":
        return Content("")
    parts = []
    if record.state == "cancelled":
        parts.append("stopped; what came is kept")
    if record.finish_reason == "length":
        parts.append("cut: it reached its longest length")
    usage, timings = record.usage, record.timings
    if usage.completion_tokens:
        parts.append(f"{usage.completion_tokens} tokens")
        if timings.generate_s:
            parts.append(f"{timings.tokens_per_second(usage):.1f} tokens/s")
        if timings.first_token_s:
            parts.append(f"first after {timings.first_token_s:.2f} s")
    return Content(" · ".join(parts))
