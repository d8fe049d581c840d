"""PDF by PDFium: the text of each page, under the outline's headings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pypdfium2

from oss.contracts.errors import UsageError
from oss.contracts.loader import Loaded, Loader
from oss.retrieval.blocks import BlockList

if TYPE_CHECKING:
    from collections.abc import Iterator

_PASSWORD = 4  # FPDF_ERR_PASSWORD, fpdfview.h
_HYPHEN = re.compile("[\ufffe\u0002]\r?\n?")
_END = re.compile(r"\n\s*\n")


class PdfLoader(Loader):
    """Pages as blocks; a page is cut further where it is longer than a chunk."""

    def load(self, data: bytes, name: str) -> Loaded:  # noqa: ARG002
        """A PDF that holds text; scanned pages need a loader that can read pictures."""
        document = _open(data)
        try:
            blocks = BlockList()
            headings = _Outline(document)
            for number in range(len(document)):
                for text in _paragraphs(document, number):
                    blocks.add(text, headings.at(number), page=number + 1)
            if not blocks and len(document):
                raise UsageError("holds no text: a scan, perhaps; it needs text recognition first")
            title = document.get_metadata_value("Title").strip()
        finally:
            document.close()
        return Loaded(blocks, {"title": title} if title else {})


def _open(data: bytes) -> Any:
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == _PASSWORD:
            raise UsageError("is protected by a password") from error
        raise UsageError(f"is no PDF that can be read: {error}") from error


def _paragraphs(document: Any, number: int) -> Iterator[str]:
    """The paragraphs of a page; one that is damaged gives none, and the others stay."""
    try:
        page = document[number]
    except pypdfium2.PdfiumError:
        return
    try:
        layer = page.get_textpage()
        try:
            text = layer.get_text_bounded()
        finally:
            layer.close()
    except pypdfium2.PdfiumError:
        return
    finally:
        page.close()
    text = _HYPHEN.sub("", text).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    yield from _END.split(text)


class _Outline:
    """Which headings of the outline a page stands under."""

    def __init__(self, document: Any) -> None:
        self._starts: list[tuple[int, tuple[str, ...]]] = []
        path: list[str] = []
        try:
            for entry in document.get_toc(max_depth=6):
                target = entry.get_dest()
                page = target.get_index() if target else None
                path = [*path[: entry.level], " ".join(entry.get_title().split())]
                if page is not None:
                    self._starts.append((page, tuple(path)))
        except pypdfium2.PdfiumError:
            self._starts = []

    def at(self, page: int) -> tuple[str, ...]:
        """The last heading that starts before the page or on it, where it is the only one."""
        on = [path for start, path in self._starts if start == page]
        if on:
            return on[0]
        before = [(start, i, path) for i, (start, path) in enumerate(self._starts) if start < page]
        return max(before)[2] if before else ()
