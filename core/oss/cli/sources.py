"""Where a passage comes from, for people: a short text, and a link where terminals have them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

    from oss.contracts.retriever import Passage
    from oss.turn.events import Cited

_ESCAPE = "\x1b]8;;"
_END = "\x1b\\"


def chosen(event: Cited) -> tuple[str, tuple[int, ...]]:
    """Numbers of the passages that stand under an answer, and the line above them that says which
    they are: those that it cites; else those that its words point to; else all that it was given.
    """
    if event.numbers:
        return "sources:", event.numbers
    if event.attributed:
        return "sources by their words (the answer cites none):", event.attributed
    everything = tuple(range(1, len(event.passages) + 1))
    return "the answer cites none of what it was given:", everything


def sources_lines(event: Cited, stream: TextIO) -> list[str]:
    """The sources under an answer; the first line says which they are."""
    title, numbers = chosen(event)
    lines = [title]
    for number in numbers:
        passage = event.passages[number - 1]
        place = linked(passage, place_text(passage), stream)
        lines.append(f"  [{number}] {place}  {passage.score:.3f}")
    return [*lines, *(f"  {line}" for line in taken_out(event))]


def taken_out(event: Cited) -> list[str]:
    """The line about marks that named no passage, where there were such."""
    if not event.removed:
        return []
    return [f"taken out, for there are no such passages: {' '.join(event.removed)}"]


def place_text(passage: Passage) -> str:
    """``guide.md:12 Install > Linux``: source, then page or line, then heading."""
    metadata = passage.metadata
    place = passage.source
    if "page" in metadata:
        place += f", page {metadata['page']}"
    elif "line" in metadata:
        place += f":{metadata['line']}"
    heading = metadata.get("heading")
    return one_line(f"{place} {heading}" if heading else place)


def linked(passage: Passage, text: str, stream: TextIO) -> str:
    """The text, clickable where the stream is a terminal and the source a file or an address.
    Source: https://gist.github.com/egmontkob/eb114294efbcd5adb1944c9f3cb5feda
    """
    if not stream.isatty():
        return text
    source = passage.source
    if source.startswith(("http://", "https://")):
        address = one_line(source)
    else:
        file = Path(source)
        if not file.exists():
            return text
        address = file.resolve().as_uri()
    return f"{_ESCAPE}{address}{_END}{text}{_ESCAPE}{_END}"


def one_line(text: str) -> str:
    """Without line breaks and control characters, which a document may have put there."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())
