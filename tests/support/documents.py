"""Small files of the formats that people have, made here."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def archive(members: Mapping[str, str | bytes]) -> bytes:
    """A ZIP archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return out.getvalue()


def docx(body: str, styles: str = "", **more: str | bytes) -> bytes:
    """A Word document with this XML inside its body."""
    return archive(
        {
            "[Content_Types].xml": "<Types/>",
            "word/document.xml": f"<w:document {_W}><w:body>{body}</w:body></w:document>",
            "word/styles.xml": f"<w:styles {_W}>{styles}</w:styles>",
            **more,
        }
    )


def paragraph(text: str, style: str = "", before: str = "") -> str:
    """A paragraph of a Word document."""
    mark = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{mark}<w:r>{before}<w:t>{escape(text)}</w:t></w:r></w:p>"


def epub(chapters: Mapping[str, str], title: str = "Книга") -> bytes:
    """An EPUB with these XHTML bodies by file name."""
    items = "".join(
        f'<item id="i{n}" href="{name}" media-type="application/xhtml+xml"/>'
        for n, name in enumerate(chapters)
    )
    spine = "".join(f'<itemref idref="i{n}"/>' for n in range(len(chapters)))
    return archive(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container><rootfiles><rootfile full-path="OEBPS/p.opf"/>'
            "</rootfiles></container>",
            "OEBPS/p.opf": '<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
            f"<dc:title>{title}</dc:title></metadata><manifest>{items}</manifest>"
            f"<spine>{spine}</spine></package>",
            **{
                f"OEBPS/{name}": f"<html><body>{body}</body></html>"
                for name, body in chapters.items()
            },
        }
    )


def pdf(pages: Sequence[Sequence[str]], *, title: str = "", encrypted: bool = False) -> bytes:
    """A PDF of lines of ASCII text; ``encrypted`` asks for a password that no one knows."""
    objects: list[bytes] = []

    def add(body: str | bytes) -> int:
        objects.append(body.encode() if isinstance(body, str) else body)
        return len(objects)

    font = add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    pages_at = 2 + 2 * len(pages)
    kids = []
    for lines in pages:
        shown = "".join(f"({line}) Tj 0 -20 Td " for line in lines)
        content = f"BT /F1 12 Tf 50 700 Td {shown}ET".encode()
        stream = add(b"<< /Length %d >> stream\n%s\nendstream" % (len(content), content))
        kids.append(
            add(
                f"<< /Type /Page /Parent {pages_at} 0 R /MediaBox [0 0 600 800] /Contents "
                f"{stream} 0 R /Resources << /Font << /F1 {font} 0 R >> >> >>"
            )
        )
    listed = " ".join(f"{kid} 0 R" for kid in kids)
    assert add(f"<< /Type /Pages /Kids [{listed}] /Count {len(kids)} >>") == pages_at
    catalog = add(f"<< /Type /Catalog /Pages {pages_at} 0 R >>")
    info = add(f"<< /Title ({title}) >>")
    extra = ""
    if encrypted:
        key = "A" * 64
        lock = add(f"<< /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <{key}> /U <{key}> >>")
        extra = f"/Encrypt {lock} 0 R /ID [<{'0' * 32}> <{'0' * 32}>]"
    out = b"%PDF-1.4\n"
    starts = []
    for number, body in enumerate(objects, 1):
        starts.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = "".join(f"{start:010d} 00000 n \n" for start in starts)
    return (
        out
        + (
            f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer << /Size "
            f"{len(objects) + 1} /Root {catalog} 0 R /Info {info} 0 R {extra} >>\n"
            f"startxref\n{len(out)}\n%%EOF\n"
        ).encode()
    )
