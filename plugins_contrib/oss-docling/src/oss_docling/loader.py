"""A document as Docling understands it, in pieces that know their page and headings."""

from __future__ import annotations

import io
from functools import cached_property
from typing import Any

from oss.contracts.errors import UsageError
from oss.contracts.loader import Loaded, Loader
from oss.retrieval.blocks import BlockList
from oss.retrieval.expansion import check_expansion


class DoclingLoader(Loader):
    """Converts with Docling's own settings, without remote services."""

    @cached_property
    def _converter(self) -> Any:
        from docling.datamodel.base_models import InputFormat
        from docling.document_converter import DocumentConverter

        # Sound and film are transcribed, and some XML is of one office's own: not meant here.
        formats = (
            *("DOCX", "PPTX", "HTML", "IMAGE", "PDF", "ASCIIDOC", "MD", "CSV", "XLSX", "ODT"),
            *("ODS", "ODP", "EPUB", "LATEX"),
        )
        known = [InputFormat[name] for name in formats if name in InputFormat.__members__]
        return DocumentConverter(allowed_formats=known)

    def load(self, data: bytes, name: str) -> Loaded:
        """A file's text and tables.

        :raises UsageError: it is broken, or of a kind that Docling does not take.
        """
        from docling.datamodel.base_models import DocumentStream
        from docling.exceptions import ConversionError

        check_expansion(data)
        try:
            stream = DocumentStream(name=name, stream=io.BytesIO(data))
            found = self._converter.convert(stream)
        except ConversionError as error:
            text = " ".join(str(error).split())
            raise UsageError(f"cannot be read by Docling: {text[:200]}") from error
        return loaded_of(found.document)


def loaded_of(document: Any) -> Loaded:
    """The body of a ``DoclingDocument``, in the order of reading."""
    from docling_core.types.doc import SectionHeaderItem, TableItem, TextItem, TitleItem

    blocks = BlockList()
    headings: list[tuple[int, str]] = []
    title = ""
    for item, _ in document.iterate_items():
        page = item.prov[0].page_no if getattr(item, "prov", None) else None
        under = [text for _, text in headings]
        if isinstance(item, TitleItem | SectionHeaderItem):
            level = 0 if isinstance(item, TitleItem) else item.level
            if level == 0 and not title:
                title = item.text.strip()
            if item.text.strip():
                headings = [one for one in headings if one[0] < level]
                headings.append((level, item.text.strip()))
        elif isinstance(item, TableItem):
            for row in _rows(item):
                blocks.add(row, under, alone=True, page=page)
        elif isinstance(item, TextItem):
            blocks.add(item.text, under, page=page)
    return Loaded(blocks, {"title": title} if title else {})


def _rows(table: Any) -> list[str]:
    """Each row with the names of its columns; a table without names as it is."""
    grid = table.data.grid
    heads = [row for row in grid if row and all(cell.column_header for cell in row)]
    names = [cell.text.strip() for cell in heads[-1]] if heads else []
    found = []
    for row in grid:
        if row in heads:
            continue
        cells = [cell.text.strip() for cell in row]
        pairs = zip(names or [""] * len(cells), cells, strict=True)
        found.append("\n".join(f"{n}: {text}" if n else text for n, text in pairs if text))
    return [row for row in found if row]
