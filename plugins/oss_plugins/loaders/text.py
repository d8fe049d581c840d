"""Plain text and the light markups."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from oss.contracts.loader import Loaded, Loader
from oss.retrieval.chunking import Block, blocks_of
from oss_plugins.loaders.decoding import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

_FRONT_MATTER = re.compile(r"---\n(.*?)\n(?:---|\.\.\.)\n", re.S)
_TITLE = re.compile(r"^title:\s*['\"]?(.+?)['\"]?\s*$", re.M)
_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1+$")


class TextLoader(Loader):
    """Paragraphs, by line."""

    def load(self, data: bytes, name: str) -> Loaded:  # noqa: ARG002
        """Text in any encoding."""
        return Loaded(list(blocks_of(decode(data), markdown=False)))


class MarkdownLoader(Loader):
    """Paragraphs under their headings; front matter gives the title."""

    def load(self, data: bytes, name: str) -> Loaded:  # noqa: ARG002
        """Markdown in any encoding."""
        text = decode(data)
        metadata = {}
        if front := _FRONT_MATTER.match(text):
            if title := _TITLE.search(front[1]):
                metadata["title"] = title[1]
            # Blank, not cut: lines and characters keep their numbers.
            text = re.sub(r"[^\n]", " ", front[0]) + text[front.end() :]
        return Loaded(list(blocks_of(text)), metadata)


class RstLoader(Loader):
    """Paragraphs under their headings, which are lines underlined."""

    def load(self, data: bytes, name: str) -> Loaded:  # noqa: ARG002
        """reStructuredText in any encoding."""
        return Loaded(list(_sections(list(blocks_of(decode(data), markdown=False)))))


def _sections(blocks: list[Block]) -> Iterator[Block]:
    """Blocks whose first lines are a title become the heading of those that follow."""
    order: list[str] = []
    path: list[str] = []
    for block in blocks:
        lines = block.text.split("\n")
        over = bool(_ADORNMENT.match(lines[0].rstrip())) and len(lines) > 2
        title, under = (lines[1], lines[2]) if over else (lines[0], lines[1] if lines[1:] else "")
        mark = _ADORNMENT.match(under.rstrip())
        if mark and title.strip() and len(under.rstrip()) >= min(len(title.strip()), 3):
            style = mark[1] * (1 + over)
            if style not in order:
                order.append(style)
            path = [*path[: order.index(style)], title.strip()]
            taken = "\n".join(lines[: 2 + over]) + "\n"
            rest = block.text[len(taken) :]
            if rest.strip():
                line = block.metadata["line"] + taken.count("\n")
                yield Block(rest, block.start + len(taken), tuple(path), metadata={"line": line})
        else:
            yield Block(block.text, block.start, tuple(path), metadata=block.metadata)
