"""The turns of a conversation; of a long one, the last are on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual._styles_cache import StylesCache
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from oss_plugins.tui.ground import Ground

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from oss_plugins.tui.records import Record
    from oss_plugins.tui.turns import TurnView

SHOWN = 16
"""Turns on the screen: more would make each key slower."""


class Earlier(Static):
    """Says how many turns are above; a click brings them."""

    async def on_click(self) -> None:
        """Bring some."""
        history = self.parent
        if isinstance(history, History):
            await history.show_earlier()


class History(VerticalScroll, Ground, can_focus=False):
    """Grows at its end, and stays there unless someone scrolls up.

    :ivar conversation_id: whose turns these are.
    :ivar views: the turns on the screen.
    """

    def __init__(self, id: str) -> None:  # noqa: A002  as all widgets have it
        super().__init__(id=id)
        self.conversation_id: int | None = None
        self.views: list[TurnView] = []
        self._older: list[Record] = []

    def compose(self) -> ComposeResult:
        yield Static(Content("What do you want to know?"), classes="welcome")

    @property
    def last(self) -> TurnView | None:
        """The last turn."""
        return self.views[-1] if self.views else None

    async def show(self, records: list[Record], conversation_id: int | None) -> None:
        """Another conversation."""
        self.conversation_id = conversation_id
        cut = max(0, len(records) - SHOWN)
        self._older = records[:cut]
        for record in self._older:
            record.events = []
        gone, self.views = self.views, _views(records[cut:])
        async with self.batch():
            await self.remove_children(gone)
            await self.mount_all(self.views)
        await self._say_earlier()
        self.anchor()

    async def add(self, view: TurnView) -> None:
        """A turn at the end."""
        self.views.append(view)
        await self.mount(view)
        await self._say_earlier()
        self.anchor()

    def prune(self) -> None:
        """Take away the oldest, if there are too many."""
        if len(self.views) > SHOWN * 2:
            away, self.views = self.views[:-SHOWN], self.views[-SHOWN:]
            self._older += [view.record for view in away]
            self.remove_children(away)
            self.call_next(self._say_earlier)
            # An lru_cache over a method of Textual's keeps the lines of widgets that are gone.
            StylesCache.get_inner_outer.cache_clear()

    async def cut(self, answered: int) -> None:
        """Take away the turns from where so many were answered."""
        away = [v for v in self.views if v.record.before >= answered]
        if away:
            self.views = [v for v in self.views if v not in away]
            await self.remove_children(away)
        while self._older and self._older[-1].before >= answered:
            self._older.pop()
        if not self.views and self._older:
            await self.show_earlier()
        await self._say_earlier()

    async def show_earlier(self) -> None:
        """Bring back some of the turns above."""
        back, self._older = self._older[-SHOWN:], self._older[:-SHOWN]
        for record in back:
            record.events = record.again()
        first = self.views[0] if self.views else None
        new = _views(back)
        self.views = new + self.views
        await self.mount_all(new, before=first)
        await self._say_earlier()

    def step(self, view: TurnView, step: int) -> bool:
        """The focus to a neighbour; false where there is none."""
        views = self.views
        at = views.index(view) + step
        if at < 0:
            if self._older:
                self.run_worker(self.show_earlier())
            return True
        if at >= len(views):
            return False
        views[at].focus()
        return True

    def go_to_turn(self, turn_id: int) -> None:
        """Bring a turn into view."""
        for view in self.views:
            if view.record.turn_id == turn_id:
                self.call_after_refresh(view.focus)

    async def _say_earlier(self) -> None:
        self.query_one(".welcome").display = not self.views
        await self.remove_children(Earlier)
        if self._older:
            line = f"↑ {len(self._older)} earlier turns"
            await self.mount(Earlier(Content(line), id="earlier"), before=0)


def _views(records: list[Record]) -> list[TurnView]:
    from oss_plugins.tui.turns import TurnView

    return [TurnView(record) for record in records]
