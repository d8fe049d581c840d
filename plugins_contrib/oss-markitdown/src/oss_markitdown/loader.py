"""Files to Markdown, and the Markdown's paragraphs under its headings."""

from __future__ import annotations

import io
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import UsageError
from oss.contracts.loader import Loaded, Loader
from oss.retrieval.blocks import BlockList
from oss.retrieval.expansion import check_expansion

if TYPE_CHECKING:
    from collections.abc import Iterator

_SLIDE = re.compile(r"<!-- Slide number: (\d+) -->")
_SEPARATOR = re.compile(r"\|[\s:|-]+\|")


class MarkItDownLoader(Loader):
    """Slides by number, tables by row, the rest by heading."""

    @cached_property
    def _converter(self) -> Any:
        from markitdown import MarkItDown, converters

        # Not the default set: that fetches addresses, sends sound to a service, opens archives, and
        # takes what is broken for plain text.
        made = MarkItDown(enable_builtins=False, enable_plugins=False)
        for kind in (
            converters.PptxConverter,
            converters.XlsxConverter,
            converters.XlsConverter,
            converters.OutlookMsgConverter,
            converters.DocxConverter,
            converters.PdfConverter,
            converters.HtmlConverter,
            converters.EpubConverter,
        ):
            made.register_converter(kind())
        return made

    def load(self, data: bytes, name: str) -> Loaded:
        """A file's text; the title that MarkItDown finds is metadata.

        :raises UsageError: it is broken, or of a kind that no converter takes.
        """
        from markitdown import MarkItDownException, StreamInfo

        check_expansion(data)
        suffix = "." + name.rpartition(".")[2].lower()
        try:
            found = self._converter.convert_stream(
                io.BytesIO(data), stream_info=StreamInfo(extension=suffix, filename=name)
            )
        except MarkItDownException as error:
            text = " ".join(str(error).split())
            raise UsageError(f"cannot be read by MarkItDown: {text[:200]}") from error
        blocks = BlockList()
        for number, part in _slides(found.text_content):
            for block in _blocks(part):
                blocks.add(
                    block.text,
                    block.heading,
                    alone=block.alone,
                    page=number,
                )
        return Loaded(blocks, {"title": found.title.strip()} if found.title else {})


def _slides(text: str) -> Iterator[tuple[int | None, str]]:
    """The text of each slide with its number; a text without slides as it is."""
    parts = _SLIDE.split(text)
    if parts[0].strip():
        yield None, parts[0]
    for number, part in zip(parts[1::2], parts[2::2], strict=True):
        yield int(number), part


def _blocks(text: str) -> BlockList:
    """Paragraphs; each row of a table stands alone, with the names of its columns."""
    plain, found = BlockList(), BlockList()
    plain.add_text(text, markdown=True)
    for block in plain:
        lines = [line.strip() for line in block.text.strip().splitlines()]
        if len(lines) < 3 or not _SEPARATOR.fullmatch(lines[1]):
            found.add(block.text, block.heading)
            continue
        names = _cells(lines[0])
        for line in lines[2:]:
            pairs = zip(names, _cells(line), strict=False)
            row = "\n".join(
                f"{column}: {value}" if column and not column.startswith("Unnamed:") else value
                for column, value in pairs
                if value and value != "NaN"
            )
            found.add(row, block.heading, alone=True)
    return found


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
