"""Word documents: paragraphs and tables under their headings, by page where Word left marks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from oss.contracts.loader import Loaded, Loader
from oss.retrieval.blocks import BlockList
from oss_plugins.loaders.archives import Archive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_HEADING = re.compile(r"heading (\d)$", re.I)


class DocxLoader(Loader):
    """The body of a document; headers, footers, comments and deleted text stay out."""

    def load(self, data: bytes, name: str) -> Loaded:  # noqa: ARG002
        """Page numbers are those of the last time Word laid it out, where it left them."""
        archive = Archive(data, "Word document")
        body = archive.xml("word/document.xml").find(f"{_W}body")
        metadata = {}
        core = archive.xml_or_none("docProps/core.xml")
        for field, tag in (("title", "title"), ("author", "creator")):
            value = core.findtext(f"{_DC}{tag}") if core is not None else None
            if value and value.strip():
                metadata[field] = value.strip()
        blocks = BlockList()
        if body is not None:
            _Body(blocks, _levels(archive)).read(body)
        return Loaded(blocks, metadata)


def _levels(archive: Archive) -> dict[str, int]:
    """Style ids that are headings, to their level; ids are translated, names are not."""
    styles = archive.xml_or_none("word/styles.xml")
    levels: dict[str, int] = {}
    based: dict[str, str] = {}
    for style in styles.iter(f"{_W}style") if styles is not None else ():
        key = style.get(f"{_W}styleId", "")
        title = style.find(f"{_W}name")
        found = _HEADING.match(title.get(f"{_W}val", "") if title is not None else "")
        outline = style.find(f"{_W}pPr/{_W}outlineLvl")
        parent = style.find(f"{_W}basedOn")
        if found:
            levels[key] = int(found[1])
        elif outline is not None and outline.get(f"{_W}val", "9") < "9":
            levels[key] = int(outline.get(f"{_W}val", "0")) + 1
        elif parent is not None:
            based[key] = parent.get(f"{_W}val", "")
    for key in based:
        seen, parent_key = {key}, based[key]
        while parent_key in based and parent_key not in seen:
            seen.add(parent_key)
            parent_key = based[parent_key]
        if parent_key in levels:
            levels[key] = levels[parent_key]
    return levels


class _Body:
    def __init__(self, blocks: BlockList, levels: dict[str, int]) -> None:
        self.blocks = blocks
        self.levels = levels
        self.headings: list[tuple[int, str]] = []
        self.page = 1
        self.paged = False

    def read(self, body: Element) -> None:
        self.paged = next(body.iter(f"{_W}lastRenderedPageBreak"), None) is not None
        for element in body:
            if element.tag == f"{_W}p":
                self._paragraph(element)
            elif element.tag == f"{_W}tbl":
                self._table(element)
            else:  # content controls and the like hold paragraphs of their own
                for paragraph in element.iter(f"{_W}p"):
                    self._paragraph(paragraph)

    def _paragraph(self, element: Element) -> None:
        page, text = self.page, self._text(element).strip()
        style = element.find(f"{_W}pPr/{_W}pStyle")
        level = self.levels.get(style.get(f"{_W}val", "")) if style is not None else None
        if level and text:
            self.headings = [h for h in self.headings if h[0] < level] + [(level, text)]
        else:
            self._add(text, page)

    def _table(self, table: Element) -> None:
        rows = []
        page = self.page
        for row in table.iter(f"{_W}tr"):
            cells = [
                " ".join(filter(None, (self._text(p).strip() for p in cell.iter(f"{_W}p"))))
                for cell in row.findall(f"{_W}tc")
            ]
            rows.append(" | ".join(cells))
        self._add("\n".join(row for row in rows if row.strip(" |")), page)

    def _add(self, text: str, page: int) -> None:
        heading = tuple(title for _, title in self.headings)
        self.blocks.add(text, heading, page=page if self.paged else None)

    def _text(self, paragraph: Element) -> str:
        return "".join(self._runs(paragraph))

    def _runs(self, paragraph: Element) -> Iterator[str]:
        hidden = {
            id(part)
            for run in paragraph.iter(f"{_W}r")
            if (mark := run.find(f"{_W}rPr/{_W}vanish")) is not None
            and mark.get(f"{_W}val", "true") not in ("0", "false")
            for part in run.iter()
        }
        for part in paragraph.iter():
            if id(part) in hidden:
                continue
            if part.tag == f"{_W}t":
                yield part.text or ""
            elif part.tag == f"{_W}tab":
                yield "\t"
            elif part.tag in (f"{_W}br", f"{_W}cr"):
                yield "\n"
            elif part.tag == f"{_W}lastRenderedPageBreak":
                self.page += 1
