"""Markdown as pieces of a screen: each is wrapped by itself, behind a margin of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from textual.content import Content, Span
from textual.highlight import HighlightTheme, highlight
from textual.style import Style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

CITATION = "cite:"
BULLETS = "•◦▪"
HEADING = "bold $primary"
INLINE = {
    "em_open": "italic",
    "strong_open": "bold",
    "s_open": "strike",
    "code_inline": "$text-warning on $panel",
}
_NUMBER = re.compile(r"\[(\d{1,3})\](?![(\[:])")


@dataclass(frozen=True)
class Margin:
    """What stands left of a piece: before its first line, and before the others."""

    first: Content
    rest: Content


@dataclass(frozen=True)
class Words:
    """Text that is wrapped.

    :param code: keeps its lines, and stands on a ground of its own.
    """

    margin: Margin
    text: Content
    code: bool = False


@dataclass(frozen=True)
class Rule:
    """A line across."""

    margin: Margin


@dataclass(frozen=True)
class Table:
    """Rows of cells, the first of them the heading."""

    margin: Margin
    rows: tuple[tuple[Content, ...], ...]


Piece = Words | Rule | Table


@dataclass(frozen=True)
class Block:
    """A block of the outermost level.

    :param line: of the text, where it begins.
    """

    line: int
    pieces: tuple[Piece, ...]


@cache
def parser() -> MarkdownIt:
    """The parser. Raw HTML is shown as it is: a model that writes <div> means the letters. A
    number in brackets is a citation where the environment has so many ``passages``.
    """
    made = MarkdownIt("gfm-like", {"html": False})
    made.inline.ruler.before("link", "citation", _citation)
    return made


def read(text: str, passages: int) -> list[Block]:
    """The blocks of a text.

    :param passages: how many there are, to be cited as ``[1]``.
    """
    tokens = parser().parse(text, {"passages": passages})
    blocks = []
    begin = 0
    for number, token in enumerate(tokens):
        if token.level == 0 and token.nesting <= 0:  # one by itself, or the end of one
            group = tokens[begin : number + 1]
            begin = number + 1
            line = group[0].map[0] if group[0].map else 0
            blocks.append(Block(line, tuple(_Pieces(group).made)))
    return blocks


def code_blocks(markdown: str) -> list[str]:
    """The code of each block in a text, without its fences."""
    tokens = MarkdownIt("commonmark").parse(markdown)
    return [token.content for token in tokens if token.type in ("fence", "code_block")]


def _citation(state: StateInline, silent: bool) -> bool:
    found = _NUMBER.match(state.src, state.pos)
    if found is None or not 0 < int(found[1]) <= state.env["passages"]:
        return False
    if not silent:
        state.push("link_open", "a", 1).attrs = {"href": f"{CITATION}{found[1]}"}
        state.push("text", "", 0).content = found[0]
        state.push("link_close", "a", -1)
    state.pos = found.end()
    return True


class _Pieces:
    """Goes through the tokens of one block."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.made: list[Piece] = []
        self._margins: list[Margin] = []
        self._begun: list[bool] = []  # whether the first line of a margin is used up
        self._lists: list[tuple[bool, bool]] = []  # ordered, tight
        self._item_first = False
        self._heading = False
        self._rows: list[list[Content]] = []
        for number, token in enumerate(tokens):
            self._take(token, tokens[number:])

    def _take(self, token: Token, following: Sequence[Token]) -> None:
        match token.type:
            case "heading_open":
                self._heading = True
            case "heading_close":
                self._heading = False
            case "inline":
                self._inline(token)
            case "fence" | "code_block":
                self._space()
                code = _code(token.content.rstrip("\n"), token.info.strip().partition(" ")[0])
                self.made.append(Words(self._margin(), code, code=True))
            case "hr":
                self._space()
                self.made.append(Rule(self._margin()))
            case "bullet_list_open" | "ordered_list_open":
                self._space()
                self._lists.append((token.type[0] == "o", _is_tight(token, following)))
                self._item_first = True
            case "bullet_list_close" | "ordered_list_close":
                self._lists.pop()
            case "list_item_open":
                self._item(token)
            case "blockquote_open":
                self._space()
                bar = Content.styled("▌ ", "$primary")
                self._open(Margin(bar, bar))
            case "list_item_close" | "blockquote_close":
                self._margins.pop()
                self._begun.pop()
            case "tr_open":
                self._rows.append([])
            case "table_close":
                self._space()
                rows = tuple(tuple(row) for row in self._rows)
                self._rows = []
                self.made.append(Table(self._margin(), rows))

    def _inline(self, token: Token) -> None:
        content = inline(token)
        if self._rows:
            self._rows[-1].append(content)
            return
        self._space()
        if self._heading:
            content = content.stylize_before(HEADING)
        self.made.append(Words(self._margin(), content))

    def _item(self, token: Token) -> None:
        ordered, _ = self._lists[-1]
        if not self._item_first:
            self._space()
        self._item_first = False
        depth = sum(not kind for kind, _ in self._lists) - 1
        mark = f"{token.info}. " if ordered else f"{BULLETS[depth % len(BULLETS)]} "
        self._open(Margin(Content.styled(mark, "$primary"), Content(" " * len(mark))))

    def _open(self, margin: Margin) -> None:
        self._margins.append(margin)
        self._begun.append(False)

    def _space(self) -> None:
        """An empty line before what follows, but at the begin of something or in a tight list."""
        fresh = bool(self._begun) and not self._begun[-1]
        tight = bool(self._lists) and self._lists[-1][1]
        if self.made and not fresh and not tight:
            rest = Content("").join(margin.rest for margin in self._margins)
            self.made.append(Words(Margin(rest, rest), Content()))

    def _margin(self) -> Margin:
        first = [m.rest if begun else m.first for m, begun in self._zipped()]
        rest = [m.rest for m in self._margins]
        self._begun = [True] * len(self._begun)
        return Margin(Content("").join(first), Content("").join(rest))

    def _zipped(self) -> list[tuple[Margin, bool]]:
        return list(zip(self._margins, self._begun, strict=True))


def _is_tight(opening: Token, following: Sequence[Token]) -> bool:
    for token in following[1:]:
        if token.type == "paragraph_open" and token.level == opening.level + 2:
            return token.hidden
        if token.level == opening.level:
            break
    return True


def inline(token: Token) -> Content:
    """The text of a line with its styles; links carry an action."""
    text: list[str] = []
    spans: list[Span] = []
    opened: list[tuple[int, str | Style]] = []
    at = 0

    def add(piece: str) -> None:
        nonlocal at
        text.append(piece)
        at += len(piece)

    for child in token.children or ():
        if child.type in ("text", "html_inline"):
            add(child.content)
        elif child.type == "softbreak":
            add(" ")
        elif child.type == "hardbreak":
            add("\n")
        elif child.type == "code_inline":
            spans.append(Span(at, at + len(child.content), INLINE["code_inline"]))
            add(child.content)
        elif child.type == "image":
            label = f"🖼 {child.content or child.attrs.get('src', '')}"
            spans.append(Span(at, at + len(label), _link(str(child.attrs.get("src", "")))))
            add(label)
        elif child.type == "link_open":
            opened.append((at, _link(str(child.attrs.get("href", "")))))
        elif child.nesting > 0:
            opened.append((at, INLINE[child.type]))
        elif child.nesting < 0 and opened:
            begin, style = opened.pop()
            spans.append(Span(begin, at, style))
    return Content("".join(text), spans=spans)


def _link(href: str) -> Style:
    return Style(underline=True) + Style.from_meta({"@click": f"link({href!r})"})


def _code(code: str, language: str) -> Content:
    if not language:
        return Content(code.expandtabs(4))
    return highlight(code, language=language, theme=HighlightTheme, tab_size=4)
