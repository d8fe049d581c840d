"""A first run: no model is here. Offers those that fit, and fetches one."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, ProgressBar, Static
from textual.widgets.option_list import Option

from oss.contracts.errors import OssError
from oss.models import pull_model
from oss.models.text import size_text
from oss.turn.untrusted import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from oss.contracts.model import CatalogueEntry
    from oss.plugins.manager import Plugins

EACH_S = 0.1
"""Between two drawings of the progress."""


class Stopped(Exception):  # noqa: N818  not an error: someone wanted it
    """Ends a transfer, from within its progress."""


class FetchModel(ModalScreen[str | None]):
    """Gives the name of the model that is here now, or ``None``."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Not now")]

    def __init__(self, entries: Sequence[CatalogueEntry], plugins: Plugins) -> None:
        super().__init__()
        self._entries = entries
        self._plugins = plugins
        self._stop = False
        self._fetching = False
        self._drawn = 0.0

    def compose(self) -> ComposeResult:
        options = [
            Option(
                Content.assemble(
                    f"{entry.name}  ",
                    (size_text(entry.size) if entry.size else "", "bold"),
                    "\n  ",
                    (printable(entry.summary), "dim"),
                )
            )
            for entry in self._entries
        ]
        with Vertical(classes="dialog"):
            yield Static(Content("No model is here yet. Fetch one?"), classes="title")
            yield OptionList(*options, markup=False)
            bar = ProgressBar(show_eta=True)
            bar.display = False
            yield bar
            yield Static(id="fetch-told")
            yield Static(
                Content("Enter: fetch it   Esc: not now; a stopped fetch goes on later"),
                classes="keys",
            )

    def on_mount(self) -> None:
        """The smallest first: it is there soon, and any machine runs it."""
        self.query_one(OptionList).highlighted = len(self._entries) - 1

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Fetch it."""
        if not self._fetching:
            self._fetching = True
            self.query_one(OptionList).disabled = True
            self.run_worker(self._fetch(self._entries[event.option_index]))

    def action_leave(self) -> None:
        """Stop the transfer, or go without."""
        if self._fetching:
            self._stop = True
        else:
            self.dismiss(None)

    async def _fetch(self, entry: CatalogueEntry) -> None:
        self.query_one(ProgressBar).display = True
        self._tell(f"fetching {entry.name}")
        try:
            await asyncio.to_thread(pull_model, entry.name, self._plugins, self._progress)
        except Stopped:
            self.dismiss(None)
        except OssError as error:
            self._fetching = False
            self.query_one(ProgressBar).display = False
            self.query_one(OptionList).disabled = False
            self.query_one(OptionList).focus()
            self._tell(f"✗ {error.message}" + (f"\n→ {error.hint}" if error.hint else ""))
        else:
            self.dismiss(entry.name)

    def _progress(self, done: int, total: int, label: str) -> None:
        """Called in the thread of the transfer."""
        if self._stop:
            raise Stopped
        now = time.monotonic()
        if now - self._drawn >= EACH_S or done == total:
            self._drawn = now
            self.app.call_from_thread(self._draw, done, total, label)

    def _draw(self, done: int, total: int, label: str) -> None:
        self.query_one(ProgressBar).update(progress=done, total=total or None)
        self._tell(f"{label}  {size_text(done)}" + (f" of {size_text(total)}" if total else ""))

    def _tell(self, line: str) -> None:
        self.query_one("#fetch-told", Static).update(Content(printable(line)))
