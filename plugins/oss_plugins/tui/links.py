"""Lines that open a text: a passage, a tool's result, a setting in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from oss.turn.untrusted import clean, printable

if TYPE_CHECKING:
    from textual import events

    from oss.contracts.retriever import Passage


class Link(Static, can_focus=True):
    """A line that opens a text."""

    class Opened(Message):
        """It is to be read."""

        def __init__(self, title: str, text: str) -> None:
            super().__init__()
            self.title = title
            self.text = text

    def __init__(self, content: Content, title: str, text: str) -> None:
        super().__init__(content)
        self._opens = (title, text)

    def on_click(self) -> None:
        """Open."""
        self.post_message(self.Opened(*self._opens))

    def on_key(self, event: events.Key) -> None:
        """Open with Enter."""
        if event.key == "enter":
            event.stop()
            self.on_click()


def passage_link(number: int, passage: Passage) -> Link:
    """A passage with its score and how it begins."""
    first = " ".join(clean(passage.text).split())[:90]
    head = Content.assemble(f"[{number}] {printable(passage.source)}", _score(passage), "\n")
    return _opening(number, passage, Content.assemble(head, (first, "dim")))


def source_link(number: int, passage: Passage) -> Link:
    """A passage as a source of an answer: where it stands, on one line."""
    from oss.cli.sources import place_text

    return _opening(
        number, passage, Content.assemble(f"[{number}] {place_text(passage)}", _score(passage))
    )


def _score(passage: Passage) -> tuple[str, str]:
    return f"  {passage.score:.3f}", "$accent"


def _opening(number: int, passage: Passage, content: Content) -> Link:
    head = f"[{number}] {printable(passage.source)}"
    title = f"{head}, characters {passage.span[0]} to {passage.span[1]}"
    return Link(content, title, clean(passage.text))
