"""The conversations, and the search over everything that was said in them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from oss.cli.counting import count
from oss.contracts.errors import OssError
from oss_plugins.tui.keys import bindings

if TYPE_CHECKING:
    from textual import events
    from textual.binding import BindingType

    from oss.store import Conversation, Hit, Store

LISTED = 500
"""Conversations in the list; older ones are found by the search."""


TYPING_S = 0.06
"""A search waits so long for the next key."""


@dataclass(frozen=True)
class Row:
    """A line of the list, and what it opens."""

    conversation_id: int
    title: str
    turn_id: int | None = None


class ConversationList(OptionList):
    """The list itself."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("list")]

    class Wanted(Message):
        """A person wants something done with the highlighted conversation."""

        def __init__(self, what: str) -> None:
            super().__init__()
            self.what = what

    def action_rename(self) -> None:
        """Ask for another title."""
        self.post_message(self.Wanted("rename"))

    def action_delete(self) -> None:
        """Ask, then delete."""
        self.post_message(self.Wanted("delete"))


class Sidebar(Vertical):
    """Search and list.

    :ivar store: to read from, by nothing else.
    """

    class Opened(Message):
        """A conversation is to be gone on with."""

        def __init__(self, row: Row) -> None:
            super().__init__()
            self.row = row

    class Wanted(Message):
        """Something is to be done with a conversation."""

        def __init__(self, row: Row, what: str) -> None:
            super().__init__()
            self.row = row
            self.what = what

    class Trouble(Message):
        """The store cannot be read."""

        def __init__(self, error: OssError) -> None:
            super().__init__()
            self.error = error

    def __init__(self) -> None:
        super().__init__()
        self.store: Store | None = None
        self.current: int | None = None
        self._rows: list[Row] = []

    async def fill(self) -> None:
        """Put search and list here: the first picture does without."""
        await self.mount(Input(placeholder="search", compact=True), ConversationList(markup=False))

    @property
    def shown(self) -> ConversationList:
        """The list."""
        return self.query_one(ConversationList)

    def search(self) -> None:
        """The focus to the search; nothing, before there is one."""
        for search in self.query(Input):
            search.focus()

    def enter(self) -> None:
        """The focus to the list; nothing, before there is one."""
        for shown in self.query(ConversationList):
            shown.focus()

    def reload(self, current: int | None, after_s: float = 0) -> None:
        """Read the store again, in a thread.

        :param current: the conversation that is open.
        :param after_s: wait so long for another call, which takes the place of this one.
        """
        self.current = current
        self._load(after_s)

    def on_unmount(self) -> None:
        """Read the store no more, and close it."""
        self.workers.cancel_node(self)
        store, self.store = self.store, None
        if store is not None:
            store.close()

    # The decorator makes the coroutine when it runs: one made before, and cancelled before it
    # began, would never be awaited.
    @work(group="list", exclusive=True)
    async def _load(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        if self.store is None:
            return
        query = self.query_one(Input).value.strip()
        try:
            if query:
                hits = await asyncio.to_thread(self.store.search, query)
                self._fill([_hit(hit) for hit in hits], "nothing found")
            else:
                found = await asyncio.to_thread(self.store.conversations, LISTED)
                now = time.time()
                rows = [_listed(one, now, one.id == self.current) for one in found]
                self._fill(rows, "nothing said yet")
        except OssError as error:
            self.post_message(self.Trouble(error))

    def _fill(self, rows: list[tuple[Row, Content]], empty: str) -> None:
        before = self.shown.highlighted
        self.shown.clear_options()
        self._rows = [row for row, _ in rows]
        if not rows:
            self.shown.add_option(Option(Content.styled(empty, "dim"), disabled=True))
            return
        self.shown.add_options([Option(content) for _, content in rows])
        if before is None:
            found = [row.conversation_id for row in self._rows if row.turn_id is None]
            before = found.index(self.current) if self.current in found else 0
        self.shown.highlighted = min(before, len(rows) - 1)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search as one types."""
        event.stop()
        self.shown.highlighted = None
        self.reload(self.current, TYPING_S if event.value else 0)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go to the results."""
        event.stop()
        self.shown.focus()

    def on_key(self, event: events.Key) -> None:
        """Down leads from the search to the list."""
        if event.key == "down" and isinstance(self.screen.focused, Input):
            event.stop()
            self.shown.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Open it."""
        event.stop()
        self.post_message(self.Opened(self._rows[event.option_index]))

    def on_conversation_list_wanted(self, event: ConversationList.Wanted) -> None:
        """Add which one."""
        event.stop()
        at = self.shown.highlighted
        if at is not None and at < len(self._rows):
            self.post_message(self.Wanted(self._rows[at], event.what))


def _listed(conversation: Conversation, now: float, current: bool) -> tuple[Row, Content]:
    from oss.turn.untrusted import printable

    row = Row(conversation.id, conversation.title)
    mark = "› " if current else "  "
    facts = f"  {_ago(now - conversation.updated)} · {count(conversation.turns, 'turn')}"
    title = printable(conversation.title)
    return row, Content.assemble((mark + title, "bold" if current else ""), "\n", (facts, "dim"))


def _hit(hit: Hit) -> tuple[Row, Content]:
    from oss.turn.untrusted import printable

    row = Row(hit.conversation_id, hit.title, hit.turn_id)
    parts: list[Content | str | tuple[str, str]] = [f"  {printable(hit.title)}"]
    if hit.turn_id is not None:
        parts.append("\n  ")
        for number, piece in enumerate(" ".join(hit.excerpt.split()).split("\x02")):
            found, end, rest = piece.partition("\x03")
            if number == 0 or not end:
                parts.append((printable(piece), "dim"))
            else:
                parts += [(printable(found), "bold underline"), (printable(rest), "dim")]
    return row, Content.assemble(*parts)


def _ago(seconds: float) -> str:
    for size, unit in ((86400 * 365, "y"), (86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return "now"
