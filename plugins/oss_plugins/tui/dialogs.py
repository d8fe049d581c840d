"""Small questions in front of everything else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from oss.turn.untrusted import clean, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from oss.contracts.messages import ToolCall


class AskText(ModalScreen[str | None]):
    """Asks for a line of text; escape gives ``None``."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(self, question: str, value: str = "") -> None:
        super().__init__()
        self._question = question
        self._value = value

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content(self._question), classes="title")
            yield Input(self._value)
            yield Static(Content("Enter: take it   Esc: leave it"), classes="keys")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The answer."""
        self.dismiss(event.value.strip() or None)


class AskYes(ModalScreen[bool]):
    """Asks for yes or no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,д", "dismiss(True)", "Yes"),
        Binding("n,н,escape", "dismiss(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content(self._question), classes="title")
            yield Static(Content("y: yes   n: no"), classes="keys")


class AskConsent(ModalScreen[str]):
    """Asks whether a tool may run: ``yes``, ``always`` or ``no``."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,д", "dismiss('yes')", "Yes"),
        Binding("a,в", "dismiss('always')", "Always"),
        Binding("n,н,escape", "dismiss('no')", "No"),
    ]

    def __init__(self, call: ToolCall) -> None:
        super().__init__()
        self._call = call

    def compose(self) -> ComposeResult:
        arguments = json.dumps(
            json.loads(self._call.arguments or "{}"), ensure_ascii=False, indent=2
        )
        with Vertical(classes="dialog"):
            title = f"The model asks to run {clean(self._call.name)}"
            yield Static(Content(title), classes="title")
            with VerticalScroll(classes="text"):
                yield Static(Content(clean(arguments)))
            yield Static(
                Content("y: yes   a: always, until the program ends   n: no"), classes="keys"
            )


class ShowText(ModalScreen[None]):
    """A text to read."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss", "Close")]

    def __init__(self, title: str, text: str | Content) -> None:
        super().__init__()
        self._title = title
        self._text = text if isinstance(text, Content) else Content(printable(text))

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide"):
            yield Static(Content(printable(self._title)), classes="title")
            with VerticalScroll(classes="text"):
                yield Static(self._text)
            yield Static(Content("Esc: close"), classes="keys")


@dataclass(frozen=True)
class Item:
    """Something to choose."""

    value: str
    note: str = ""


class Pick(ModalScreen[str | None]):
    """A list to choose from, narrowed as one types; escape gives ``None``.

    :param current: the one in use.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel"),
        Binding("down", "move(1)", "Down", priority=True),
        Binding("up", "move(-1)", "Up", priority=True),
    ]

    def __init__(self, title: str, items: Sequence[Item], current: str | None = None) -> None:
        super().__init__()
        self._title = title
        self._items = items
        self._current = current
        self._shown: list[Item] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content(self._title), classes="title")
            yield Input(placeholder="type to narrow")
            yield OptionList(markup=False)
            yield Static(Content("Enter: take it   Esc: leave it"), classes="keys")

    def on_mount(self) -> None:
        """Everything at first."""
        self.query_one(OptionList).can_focus = False
        self._narrow("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Fewer."""
        self._narrow(event.value)

    def on_input_submitted(self) -> None:
        """The highlighted one."""
        at = self.query_one(OptionList).highlighted
        if at is not None and at < len(self._shown):
            self.dismiss(self._shown[at].value)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """By mouse."""
        if event.option_index < len(self._shown):
            self.dismiss(self._shown[event.option_index].value)

    def action_move(self, step: int) -> None:
        """Up or down, from the line that one types in."""
        options = self.query_one(OptionList)
        if step > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    def _narrow(self, text: str) -> None:
        words = text.casefold().split()

        def matches(text: str) -> bool:
            return all(word in text.casefold() for word in words)

        found = [item for item in self._items if matches(f"{item.value} {item.note}")]
        # Who types a name means it, whatever other descriptions say.
        self._shown = sorted(found, key=lambda item: not matches(item.value))
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(_line(item, self._current)) for item in self._shown])
        if self._shown:
            current = [item.value == self._current for item in self._shown]
            options.highlighted = current.index(True) if not words and True in current else 0


def _line(item: Item, current: str | None) -> Content:
    mark = "› " if item.value == current else "  "
    note = f"\n    {printable(item.note)}" if item.note else ""
    return Content.assemble(mark, printable(item.value), (note, "dim"))
