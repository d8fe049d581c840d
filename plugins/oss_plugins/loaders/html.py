"""Web pages: what a reader sees, under its headings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from selectolax.lexbor import LexborHTMLParser

from oss.contracts.loader import Loaded, Loader
from oss.retrieval.blocks import BlockList
from oss_plugins.loaders.decoding import decode

if TYPE_CHECKING:
    from collections.abc import Sequence

_DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.I)
_UNREAD = (
    "script, style, noscript, template, svg, canvas, iframe, object, nav, form, button, select, "
    "textarea, footer, aside, [hidden], [aria-hidden=true], [role=navigation], "
    "[style*='display:none'], [style*='display: none'], [style*='visibility:hidden'], "
    "[style*='visibility: hidden']"
)
_BLOCKS = frozenset(
    (
        *("address", "article", "blockquote", "body", "caption", "center", "dd", "details"),
        *("dialog", "div", "dl", "dt", "fieldset", "figcaption", "figure", "h1", "h2", "h3"),
        *("h4", "h5", "h6", "header", "hr", "legend", "li", "main", "menu", "ol", "p", "pre"),
        *("section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul", "br"),
    )
)
_LOOSE = frozenset(("br",))
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_SPACE = re.compile(r"\s+")
DEEPEST = 10_000


class HtmlLoader(Loader):
    """Text as it is read, without navigation, scripts and what is hidden."""

    def load(self, data: bytes, name: str) -> Loaded:  # noqa: ARG002
        """A page; its title is metadata."""
        blocks = BlockList()
        title = read_page(data, blocks)
        return Loaded(blocks, {"title": title} if title else {})


def read_page(data: bytes, blocks: BlockList, above: Sequence[str] = (), **where: Any) -> str:
    """Add the text of a page, and return its title.

    :param above: headings that stand above those of the page.
    :param where: metadata for each block.
    """
    declared = _DECLARED.search(data[:2048])
    text = decode(data, declared[1].decode() if declared else None)
    tree = LexborHTMLParser(text)
    found = tree.css_first("head > title")
    title = _SPACE.sub(" ", found.text()).strip() if found else ""
    for node in tree.css(_UNREAD):
        if node.tag not in ("html", "body"):
            node.remove()
    if tree.body is not None:
        _Reader(blocks, above, where).read(tree.body)
    return title


class _Reader:
    """Walks a page in the order of reading, without recursion: pages may nest without end."""

    def __init__(self, blocks: BlockList, above: Sequence[str], where: dict[str, Any]) -> None:
        self.blocks = blocks
        self.above = tuple(above)
        self.where = where
        self.headings: list[tuple[int, str]] = []
        self.anchor: str | None = None
        self.parts: list[str] = []
        self.preformatted = 0

    def read(self, body: Any) -> None:
        node, depth = body, 0
        while True:
            self._enter(node)
            if node.child is not None and depth < DEEPEST:
                node, depth = node.child, depth + 1
                continue
            while node.next is None or not depth:
                self._leave(node)
                if not depth:
                    return
                node, depth = node.parent, depth - 1
            self._leave(node)
            node = node.next

    def _enter(self, node: Any) -> None:
        tag = node.tag
        if tag == "-text":
            self.parts.append(node.text_content or "")
            return
        if tag in _BLOCKS and not (tag in _LOOSE and self.preformatted):
            self._flush()
        if tag == "br" and self.preformatted:
            self.parts.append("\n")
        self.preformatted += tag == "pre"
        if tag in ("td", "th") and "".join(self.parts).strip():
            self.parts.append(" | ")
        if anchor := node.attributes.get("id"):
            self.anchor = anchor

    def _leave(self, node: Any) -> None:
        tag = node.tag
        if tag in _HEADINGS:
            title = _SPACE.sub(" ", "".join(self.parts)).strip()
            self.parts = []
            if title:
                level = _HEADINGS[tag]
                self.headings = [h for h in self.headings if h[0] < level] + [(level, title)]
        elif tag in _BLOCKS and tag not in _LOOSE:
            self._flush()
            self.preformatted -= tag == "pre"

    def _flush(self) -> None:
        text = "".join(self.parts)
        self.parts = []
        if not self.preformatted:
            text = _SPACE.sub(" ", text).strip()
        heading = (*self.above, *(title for _, title in self.headings))
        self.blocks.add(text, heading, anchor=self.anchor, **self.where)
