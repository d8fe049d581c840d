"""A number on a line: left and right, or the mouse, move it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from oss.turn.untrusted import printable

if TYPE_CHECKING:
    from textual import events

HIGHEST = 2.0
STEP = 0.1


class Slider(Widget, can_focus=True):
    """The scale of an adapter, from 0 (off) over 1 (as trained) to 2."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Less", show=False),
        Binding("right", "move(1)", "More", show=False),
        Binding("0", "put(0)", "Off", show=False),
        Binding("1", "put(1)", "As trained", show=False),
    ]

    class Moved(Message):
        """There is another value."""

        def __init__(self, name: str, value: float) -> None:
            super().__init__()
            self.name = name
            self.value = value

    def __init__(self, name: str, value: float) -> None:
        super().__init__()
        self.label = name
        self.value = value

    def render(self) -> Content:
        """The name and number, and the line beneath."""
        width = max(self.size.width - 1, 4)
        at = round(min(max(self.value, 0), HIGHEST) / HIGHEST * (width - 1))
        head = f"{printable(self.label)}  {self.value:.1f}"
        line = Content.assemble(
            ("━" * at, "$primary"), ("●", "bold $accent"), ("─" * (width - 1 - at), "dim")
        )
        return Content.assemble(head, "\n", line)

    def action_move(self, steps: int) -> None:
        """A step to the left or right."""
        self.action_put(round(self.value + steps * STEP, 2))

    def action_put(self, value: float) -> None:
        """To a value."""
        self.value = min(max(float(value), 0.0), HIGHEST)
        self.refresh()
        self.post_message(self.Moved(self.label, self.value))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """To where the mouse points, and after it as long as it is held."""
        self.capture_mouse()
        self._follow(event)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """After it."""
        if self.app.mouse_captured is self:
            self._follow(event)

    def on_mouse_up(self) -> None:
        """It stays there."""
        self.release_mouse()

    def _follow(self, event: events.MouseEvent) -> None:
        width = max(self.size.width - 2, 1)
        value = min(max(round(event.x / width * HIGHEST, 1), 0.0), HIGHEST)
        if value != self.value:
            self.action_put(value)
