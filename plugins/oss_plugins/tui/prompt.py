"""Where a person writes: several lines, with the history of earlier prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.message import Message
from textual.widgets import TextArea

from oss.paths import data_dir
from oss_plugins.tui.keys import actions, bindings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual import events
    from textual.binding import BindingType

HISTORY = "chat_history"
"""The same file as the chat of ``oss run`` has."""


class Prompt(TextArea):
    """A text area that sends with Enter; Up and Down at its edges go through the history."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("prompt")]

    class Sent(Message):
        """The text was sent."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class ToTurns(Message):
        """The focus is to go to the turns."""

    def __init__(self, placeholder: str, remapped: Mapping[str, str]) -> None:
        super().__init__(
            soft_wrap=True,
            show_line_numbers=False,
            highlight_cursor_line=False,
            placeholder=placeholder,
        )
        self._actions = actions("prompt", remapped)
        self._history: list[str] | None = None
        self._at = 0
        self._draft = ""

    def set_text(self, text: str) -> None:
        """Put a text here, the cursor at its end."""
        self.load_text(text)
        self.move_cursor(self.document.end)

    async def _on_key(self, event: events.Key) -> None:
        # Here and not by a binding: bindings that come before the text area overtake the keys
        # that were typed before them and still wait.
        if action := self._actions.get(event.key):
            event.stop()
            event.prevent_default()
            await self.run_action(action)
        else:
            await super()._on_key(event)

    def action_send(self) -> None:
        """Send, if there is something to send."""
        text = self.text.strip()
        if not text:
            return
        self._remember(text)
        self.load_text("")
        self.post_message(self.Sent(text))

    def action_newline(self) -> None:
        """A line end."""
        self.insert("\n")

    def action_turns(self) -> None:
        """To the turns."""
        self.post_message(self.ToTurns())

    def action_complete(self) -> None:
        """Complete a command, or go to the next widget."""
        from oss.turn.commands import COMMANDS

        text = self.text
        if not text.startswith("/") or " " in text:
            self.screen.focus_next()
            return
        names = [f"/{name}" for name in COMMANDS if f"/{name}".startswith(text)]
        if len(names) == 1:
            self.set_text(f"{names[0]} ")
        elif names:
            common = names[0]
            while not all(name.startswith(common) for name in names):
                common = common[:-1]
            self.set_text(common)

    def action_cursor_up(self, select: bool = False) -> None:
        """Up, or to an earlier prompt."""
        if not select and self.cursor_location[0] == 0 and self._go(-1):
            return
        super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """Down, or to a later prompt."""
        last = self.document.line_count - 1
        if not select and self.cursor_location[0] == last and self._go(1):
            return
        super().action_cursor_down(select)

    def _go(self, step: int) -> bool:
        history = self._loaded()
        to = self._at + step
        if not 0 <= to <= len(history):
            return False
        if self._at == len(history):
            self._draft = self.text
        self._at = to
        self.set_text(self._draft if to == len(history) else history[to])
        return True

    def _loaded(self) -> list[str]:
        if self._history is None:
            from prompt_toolkit.history import FileHistory

            path = data_dir() / HISTORY
            stored = FileHistory(path).load_history_strings() if path.is_file() else ()
            self._history = list(stored)[::-1]
            self._at = len(self._history)
        return self._history

    def _remember(self, text: str) -> None:
        history = self._loaded()
        if not history or history[-1] != text:
            history.append(text)
            self._store(text)
        self._at = len(history)

    def _store(self, text: str) -> None:
        from prompt_toolkit.history import FileHistory

        path = data_dir() / HISTORY
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            FileHistory(path).store_string(text)
        except OSError:  # nothing can be written here; this run remembers all the same
            return
