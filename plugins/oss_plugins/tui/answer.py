"""An answer as Markdown, with citations that can be clicked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from textual.widgets import Markdown

from oss.turn.untrusted import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from markdown_it.rules_inline import StateInline

CITATION = "cite:"
_NUMBER = re.compile(r"\[(\d{1,3})\](?![(\[:])")


class Answer(Markdown):
    """Markdown that grows; ``[1]`` is a link to the first passage, where there is one.

    :param passages: says how many passages there are.
    """

    def __init__(self, text: str, passages: Callable[[], int]) -> None:
        super().__init__(
            printable(text), parser_factory=lambda: _parser(passages), open_links=False
        )

    async def grow(self, text: str) -> None:
        """Add to the end."""
        await self.append(printable(text))


def code_blocks(markdown: str) -> list[str]:
    """The code of each block in a text, without its fences."""
    tokens = MarkdownIt("commonmark").parse(markdown)
    return [token.content for token in tokens if token.type in ("fence", "code_block")]


def _parser(passages: Callable[[], int]) -> MarkdownIt:
    # Raw HTML is shown as it is: a model that writes <div> means the letters.
    parser = MarkdownIt("gfm-like", {"html": False})

    def citation(state: StateInline, silent: bool) -> bool:
        found = _NUMBER.match(state.src, state.pos)
        if found is None or not 0 < int(found[1]) <= passages():
            return False
        if not silent:
            state.push("link_open", "a", 1).attrs = {"href": f"{CITATION}{found[1]}"}
            state.push("text", "", 0).content = found[0]
            state.push("link_close", "a", -1)
        state.pos = found.end()
        return True

    parser.inline.ruler.before("link", "citation", citation)
    return parser
