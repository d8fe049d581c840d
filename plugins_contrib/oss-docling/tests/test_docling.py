"""The mapping over a real DoclingDocument, and real files of kinds that need no models."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.errors import UsageError
from oss.plugins.manager import load_plugins
from oss_docling.loader import loaded_of

if TYPE_CHECKING:
    from oss.contracts.loader import Loaded


def told(loaded: Loaded) -> list[tuple[str, tuple[str, ...], Any]]:
    return [(b.text, b.heading, b.metadata.get("page")) for b in loaded.blocks]


def test_a_document_keeps_its_headings_pages_and_tables() -> None:
    """As its layout models give it: made here by Docling's own library of documents."""
    pytest.importorskip("docling_core")
    from docling_core.types.doc import (
        BoundingBox,
        ContentLayer,
        DocItemLabel,
        DoclingDocument,
        ProvenanceItem,
        TableCell,
        TableData,
    )

    def on(page: int) -> ProvenanceItem:
        return ProvenanceItem(page_no=page, bbox=BoundingBox(l=0, t=0, r=1, b=1), charspan=(0, 1))

    def cell(text: str, row: int, column: int) -> TableCell:
        return TableCell(
            text=text,
            start_row_offset_idx=row,
            end_row_offset_idx=row + 1,
            start_col_offset_idx=column,
            end_col_offset_idx=column + 1,
            column_header=row == 0,
        )

    made = DoclingDocument(name="a")
    made.add_title("Руководство", prov=on(1))
    made.add_text(DocItemLabel.PAGE_HEADER, "секретно", content_layer=ContentLayer.FURNITURE)
    made.add_text(DocItemLabel.TEXT, "Введение в чай.", prov=on(1))
    made.add_heading("Сорта", level=1, prov=on(2))
    made.add_heading("Зелёный", level=2, prov=on(2))
    made.add_text(DocItemLabel.TEXT, "Не ферментируют.", prov=on(2))
    made.add_heading("Prices", level=1, prov=on(3))
    texts = (("сорт", "цена"), ("улун", "120"))
    cells = [cell(text, r, c) for r, row in enumerate(texts) for c, text in enumerate(row)]
    made.add_table(TableData(table_cells=cells, num_rows=2, num_cols=2), prov=on(3))
    loaded = loaded_of(made)
    assert told(loaded) == [
        ("Введение в чай.", ("Руководство",), 1),
        ("Не ферментируют.", ("Руководство", "Сорта", "Зелёный"), 2),
        ("сорт: улун\nцена: 120", ("Руководство", "Prices"), 3),
    ]
    assert loaded.metadata == {"title": "Руководство"}


def load(name: str, data: bytes) -> Loaded:
    loaded: Loaded = load_plugins().load("loaders", "docling")().load(data, name)
    return loaded


def test_web_pages_and_markdown_for_real() -> None:
    pytest.importorskip("docling")
    page = "<html><body><h1>A</h1><h2>B</h2><p>б в</p></body></html>"
    (block,) = load("a.html", page.encode()).blocks
    assert (block.text, block.heading) == ("б в", ("A", "B"))
    rows = load("a.md", b"# T\n\n| x | y |\n|---|---|\n| 1 | 2 |\n").blocks
    assert [row.text for row in rows] == ["x: 1\ny: 2"]


def test_a_spreadsheet_for_real() -> None:
    pytest.importorskip("docling")
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (("товар", "цена"), ("чай", 120)):
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    assert "чай" in "\n".join(block.text for block in load("a.xlsx", out.getvalue()).blocks)


@pytest.mark.parametrize("name", ["a.pptx", "a.xlsx", "a.docx", "a.zip", "a.wav"])
def test_junk_is_refused_in_words(name: str) -> None:
    pytest.importorskip("docling")
    with pytest.raises(UsageError):
        load(name, b"\x00\x01junk" * 50)


def test_a_bomb_is_not_opened() -> None:
    pytest.importorskip("docling")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ppt/presentation.xml", b"\0" * (201 * 2**20))
    with pytest.raises(UsageError, match="bomb"):
        load("a.pptx", out.getvalue())
