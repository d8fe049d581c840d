"""Real files, made by the libraries of their formats, through the real MarkItDown."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.errors import UsageError
from oss.plugins.manager import load_plugins

if TYPE_CHECKING:
    from oss.contracts.loader import Loaded


def load(name: str, data: bytes) -> Loaded:
    loaded: Loaded = load_plugins().load("loaders", "markitdown")().load(data, name)
    return loaded


def told(loaded: Loaded) -> list[tuple[str, tuple[str, ...], Any]]:
    return [(b.text, b.heading, b.metadata.get("page")) for b in loaded.blocks]


def slides() -> bytes:
    from pptx import Presentation

    show = Presentation()
    for title, text in (("Чай", "Зелёный чай не ферментируют."), ("Moon", "It has craters.")):
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = text
    out = io.BytesIO()
    show.save(out)
    return out.getvalue()


def sheet() -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    book.active.title = "Цены"
    for row in (("товар", "сорт"), ("чай", "улун"), ("кофе", None)):
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_slides_know_their_numbers() -> None:
    found = told(load("a.pptx", slides()))
    assert ("Зелёный чай не ферментируют.", ("Чай",), 1) in found
    assert ("It has craters.", ("Moon",), 2) in found


def test_rows_carry_the_names_of_their_columns() -> None:
    loaded = load("a.xlsx", sheet())
    assert [(b.text, b.heading, b.alone) for b in loaded.blocks] == [
        ("товар: чай\nсорт: улун", ("Цены",), True),
        ("товар: кофе", ("Цены",), True),
    ]


def test_other_kinds_when_asked() -> None:
    page = "<html><head><title>T</title></head><body><h1>A</h1><p>б в</p></body></html>"
    assert ("б в", ("A",), None) in told(load("a.html", page.encode()))


@pytest.mark.parametrize("name", ["a.pptx", "a.xlsx", "a.msg", "a.docx", "a.pdf", "a.wav", "a.txt"])
def test_junk_is_refused_in_words(name: str) -> None:
    for junk in (b"\x00\x01junk" * 50, b"junk", b"", "просто текст".encode()):
        with pytest.raises(UsageError):
            load(name, junk)


def test_a_bomb_is_not_opened() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ppt/presentation.xml", b"\0" * (201 * 2**20))
    with pytest.raises(UsageError, match="bomb"):
        load("a.pptx", out.getvalue())


def test_archives_are_not_opened_and_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the network was reached")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("inside.txt", "secret")
    with pytest.raises(UsageError):
        load("a.zip", out.getvalue())
    page = '<img src="http://127.0.0.1:9/x.png"><a href="http://127.0.0.1:9/">да</a>'
    assert told(load("a.html", page.encode()))


def test_a_folder_of_slides_is_indexed(oss_home: Any, oss_cli: Any) -> None:
    (oss_home.cwd / "доклад.pptx").write_bytes(slides())
    (oss_home.cwd / "broken.pptx").write_bytes(b"junk")
    oss_cli.use_fakes()
    added = oss_cli.run("docs", "add", ".", "--to", "work", "--embedder", "fake").ok()
    assert "broken.pptx" in added.stdout + added.stderr
    (first, *_) = (
        oss_cli.run("docs", "search", "зелёный чай", "--in", "work", "-k", "1", "--json")
        .ok()
        .json()
    )
    assert first["source"].endswith("доклад.pptx")
    assert first["metadata"]["page"] == 1
