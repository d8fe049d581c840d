"""What each loader gives, and where it says it stands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import UsageError
from oss.plugins.manager import load_plugins
from oss.retrieval.chunking import Block
from support.documents import archive, docx, epub, paragraph, pdf

if TYPE_CHECKING:
    from oss.contracts.loader import Loaded

for library in ("selectolax", "pypdfium2", "defusedxml", "chardet"):
    pytest.importorskip(library)


def load(name: str, data: bytes | str) -> Loaded:
    plugins = load_plugins()
    suffix = "." + name.rpartition(".")[2]
    (loader,) = (
        offer
        for offer, found in plugins.offers("loaders").items()
        if suffix in found.descriptor.capabilities
    )
    given = data.encode() if isinstance(data, str) else data
    loaded: Loaded = plugins.load("loaders", loader)().load(given, name)
    return loaded


def told(loaded: Loaded) -> list[tuple[str, tuple[str, ...], dict[str, object]]]:
    return [(block.text, block.heading, dict(block.metadata)) for block in loaded.blocks]


def test_every_suffix_has_one_loader() -> None:
    offers = load_plugins().offers("loaders").values()
    suffixes = [s for offer in offers for s in offer.descriptor.capabilities]
    assert len(suffixes) == len(set(suffixes))
    assert all(s.startswith(".") and s == s.lower() for s in suffixes)


RUSSIAN = "Установка программы занимает несколько минут. Откройте файл настроек."


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1251", "koi8-r", "cp866",
     "iso8859-5", "mac-cyrillic"],
)  # fmt: skip
def test_russian_in_any_encoding(encoding: str) -> None:
    (block,) = load("a.txt", RUSSIAN.encode(encoding)).blocks
    assert block.text == RUSSIAN


def test_other_texts() -> None:
    assert load("a.txt", "Größe ändern können Sie später".encode("cp1252")).blocks[0].text == (
        "Größe ändern können Sie später"
    )
    late = b"plain ascii\n" * 20_000 + RUSSIAN.encode("cp1251")
    assert load("a.txt", late).blocks[0].text.endswith(RUSSIAN)
    assert told(load("a.txt", "one\r\ntwo\r\n\r\nthree\r\n")) == [
        ("one\ntwo", (), {"line": 1}),
        ("three", (), {"line": 4}),
    ]
    assert load("a.txt", b"").blocks == []
    with pytest.raises(UsageError, match="is binary"):
        load("a.txt", bytes(range(256)) * 20)


def test_markdown_and_its_front_matter() -> None:
    loaded = load("a.md", "---\ntitle: 'Мой труд'\ntags: [x]\n---\n# Раздел\n\nТекст.\n")
    assert loaded.metadata == {"title": "Мой труд"}
    assert told(loaded) == [("Текст.", ("Раздел",), {"line": 7})]


def test_restructured_text() -> None:
    text = "=====\nTitle\n=====\n\nIntro.\n\nPart\n----\nText\nmore\n\nДругая\n------\n\nx\n"
    assert told(load("a.rst", text)) == [
        ("Intro.", ("Title",), {"line": 5}),
        ("Text\nmore", ("Title", "Part"), {"line": 9}),
        ("x", ("Title", "Другая"), {"line": 15}),
    ]


def test_a_page_as_a_reader_sees_it() -> None:
    page = """<html><head><title> My
      page</title><style>p {}</style></head><body><nav>menu</nav><h1 id="top">Guide</h1>
    <p>Hello <b>bold</b>
       world.<p>Second.<h2 id="inst">Установка</h2><ul><li>one<li>two</ul>
    <pre>a
      b</pre><table><tr><th>k</th><th>v</th></tr><tr><td>1</td><td>2</td></tr></table>
    <div style="display:none">ignore all</div><p hidden>secret</p><script>x()</script>tail"""
    loaded = load("a.html", page)
    assert loaded.metadata == {"title": "My page"}
    top, inst = {"anchor": "top"}, {"anchor": "inst"}
    assert told(loaded) == [
        ("Hello bold world.", ("Guide",), top),
        ("Second.", ("Guide",), top),
        *((text, ("Guide", "Установка"), inst) for text in
          ("one", "two", "a\n      b", "k | v", "1 | 2", "tail")),
    ]  # fmt: skip


def test_a_page_in_the_encoding_it_declares() -> None:
    page = '<meta charset="windows-1251"><p>Щи.'.encode("cp1251")
    assert load("a.htm", page).blocks[0].text == "Щи."
    assert load("a.html", "<div>" * 3000 + "deep").blocks[0].text == "deep"


def test_pdf_by_page() -> None:
    loaded = load("a.pdf", pdf([["First page", "goes on"], ["Second page"]], title="A title"))
    assert loaded.metadata == {"title": "A title"}
    assert told(loaded) == [
        ("First page\ngoes on", (), {"page": 1}),
        ("Second page", (), {"page": 2}),
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (pdf([["secret"]], encrypted=True), "is protected by a password"),
        (b"junk" * 100, "is no PDF that can be read"),
        (b"", "is no PDF that can be read"),
        (pdf([["text"]])[:200], "PDF"),
        (pdf([[]]), "holds no text"),
    ],
)
def test_pdf_that_cannot_be_read(data: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load("a.pdf", data)


def test_word_by_heading_and_page() -> None:
    styles = (
        '<w:style w:styleId="1"><w:name w:val="heading 1"/></w:style>'
        '<w:style w:styleId="My"><w:name w:val="Mine"/><w:basedOn w:val="1"/></w:style>'
        '<w:style w:styleId="Two"><w:name w:val="x"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr>'
        "</w:style>"
    )
    row = "<w:tr><w:tc>{}</w:tc><w:tc>{}</w:tc></w:tr>"
    body = (
        paragraph("Глава", "1")
        + paragraph("Первый абзац.")
        + paragraph("Part", "Two")
        + paragraph("On page two.", before="<w:lastRenderedPageBreak/>")
        + "<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r></w:p>"
        + "<w:p><w:del><w:r><w:delText>deleted</w:delText></w:r></w:del></w:p>"
        + f"<w:tbl>{row.format(paragraph('a'), paragraph('b'))}"
        + f"{row.format(paragraph('1'), paragraph('2'))}</w:tbl>"
        + paragraph("Глава вторая", "My")
        + paragraph("Конец.")
    )
    core = (
        '<c xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Труд</dc:title>'
        "<dc:creator>Автор</dc:creator></c>"
    )
    loaded = load("a.docx", docx(body, styles, **{"docProps/core.xml": core}))
    assert loaded.metadata == {"title": "Труд", "author": "Автор"}
    assert told(loaded) == [
        ("Первый абзац.", ("Глава",), {"page": 1}),
        ("On page two.", ("Глава", "Part"), {"page": 1}),
        ("a | b\n1 | 2", ("Глава", "Part"), {"page": 2}),
        ("Конец.", ("Глава вторая",), {"page": 2}),
    ]


def test_a_bomb_in_a_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oss_plugins.loaders.archives.LARGEST", 5 * 2**20)
    bomb = docx(paragraph("x" * (6 * 2**20)))
    assert len(bomb) < 20_000
    with pytest.raises(UsageError, match="expands to more than 5 MB"):
        load("a.docx", bomb)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04junk", "is no Word document"),
        (archive({"x": "y"}), "it has no word/document.xml"),
        (archive({"word/document.xml": "<unclosed>"}), "is a damaged Word document"),
        (
            archive(
                {"word/document.xml": '<!DOCTYPE d [<!ENTITY a "b">]><d>&a;</d>'}
            ),
            "its XML declares entities",
        ),
        (
            archive(
                {"word/document.xml": '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><d>&a;</d>'}
            ),
            "its XML declares entities",
        ),
        (docx(paragraph("x"))[:-30], "is no Word document"),
    ],
)  # fmt: skip
def test_word_that_cannot_be_read(data: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load("a.docx", data)


def test_books_by_chapter() -> None:
    book = epub({"c 1.xhtml": "<h1>Начало</h1><p>Текст.</p>", "c2.xhtml": "<p>Дальше.</p>"})
    loaded = load("a.epub", book.replace(b"c 1.xhtml", b"c 1.xhtml"))
    assert loaded.metadata == {"title": "Книга"}
    assert told(loaded) == [
        ("Текст.", ("Начало",), {"chapter": 1}),
        ("Дальше.", (), {"chapter": 2}),
    ]
    with pytest.raises(UsageError, match="is no EPUB"):
        load("a.epub", b"junk")


def test_notebooks_by_cell() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Анализ\n", "\n", "Введение."]},
        {"cell_type": "code", "source": "x = 1\n\ny = 2", "outputs": [{"text": "noise"}]},
        {"cell_type": "markdown", "source": "## Part\nText."},
        {"cell_type": "raw", "source": "x"},
    ]
    assert told(load("a.ipynb", json.dumps({"cells": cells}))) == [
        ("Введение.", ("Анализ",), {"cell": 1}),
        ("x = 1\n\ny = 2", ("Анализ",), {"cell": 2}),
        ("Text.", ("Part",), {"cell": 3}),
    ]
    with pytest.raises(UsageError, match="is no notebook"):
        load("a.ipynb", "{}")


def test_messages_and_mailboxes() -> None:
    message = (
        "From: Анна <a@b.c>\nSubject: =?utf-8?b?0J/RgNC40LLQtdGC?=\nContent-Type: text/plain; "
        "charset=koi8-r\nContent-Transfer-Encoding: 8bit\n\nДобрый день.\n\nПока.\n"
    ).encode("koi8-r")
    loaded = load("a.eml", message)
    assert loaded.metadata == {"title": "Привет"}
    assert [text for text, _, _ in told(loaded)][1:] == ["Добрый день.", "Пока."]
    assert {block.heading for block in loaded.blocks} == {("Привет",)}
    html = b"Subject: two\nContent-Type: text/html\n\n<p>Hello <b>you</b></p><script>x</script>"
    box = b"From a@b Mon Jan 1\n" + message + b"\nFrom b@c Tue Jan 2\n" + html
    found = told(load("a.mbox", box))
    assert ("Hello you", ("two",), {"message": 2}) in found
    assert {where["message"] for _, _, where in found} == {1, 2}
    with pytest.raises(UsageError, match="is no message"):
        load("a.eml", b"\n\njust text")


def test_tables_by_row() -> None:
    table = 'имя;город\nАнна;Рим\n"Пё\nтр";\n'.encode("cp1251")
    assert told(load("a.csv", table)) == [
        ("имя: Анна\nгород: Рим", (), {"row": 1, "line": 2}),
        ("имя: Пё\nтр", (), {"row": 2, "line": 3}),
    ]
    assert told(load("a.tsv", "a\tb\n1\t2,3\n"))[0][0] == "a: 1\nb: 2,3"
    assert load("a.csv", "").blocks == []


def test_json_by_row_and_value() -> None:
    rows = '{"q": "как", "a": {"b": [1, 2], "none": null}}\n\n{"q": "two"}\n'
    assert told(load("a.jsonl", rows)) == [
        ("q: как\na.b: 1, 2", (), {"line": 1}),
        ("q: two", (), {"line": 3}),
    ]
    assert told(load("a.json", '[{"a": 1}, {"a": [{"b": 2}]}]')) == [
        ("a: 1", (), {"row": 1}),
        ("a.b: 2", (), {"row": 2}),
    ]
    assert told(load("a.json", '{"name": "x", "deep": {"y": 1, "z": 2}}')) == [
        ("name: x", (), {}),
        ("deep:\ny: 1\nz: 2", (), {}),
    ]
    for name, data in (("a.json", "{"), ("a.jsonl", "{}\n{"), ("a.json", "[" * 100_000)):
        with pytest.raises(UsageError, match="is no JSON"):
            load(name, data)


PYTHON = '''"""Module."""

import os

X = 1


# Above it.
@decorated
def first(a):
    return a


class Small:
    def method(self):
        pass
'''


def test_python_by_definition() -> None:
    assert told(load("a.py", PYTHON)) == [
        ('"""Module."""\n\nimport os\n\nX = 1', (), {"line": 1}),
        ("# Above it.\n@decorated\ndef first(a):\n    return a", ("first",), {"line": 8}),
        ("class Small:\n    def method(self):\n        pass", ("Small",), {"line": 14}),
    ]
    methods = "".join(
        f"    def m{n}(self):\n        return '{'слово ' * 50}'\n\n" for n in range(5)
    )
    large = load("a.py", f"class Large:\n    '''Doc.'''\n\n{methods}")
    assert [block.heading for block in large.blocks] == [
        ("Large",), *(("Large", f"m{n}") for n in range(5))
    ]  # fmt: skip
    assert [block.heading for block in load("old.py", "def f():\n    print 1\n").blocks] == [("f",)]


GO = """package main

import "fmt"

// Add adds.
func (s *T) Add(a int) int {

\treturn 1
}

type X struct {
}
"""


def test_other_code_by_section() -> None:
    assert [(b.heading, b.metadata["line"]) for b in load("a.go", GO).blocks] == [
        (("main",), 1),
        ((), 3),
        (("Add",), 5),
        (("X",), 11),
    ]


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.py", "a.go", "a.rst"])
def test_starts_are_places_in_the_text(name: str) -> None:
    text = PYTHON if name.endswith("py") else f"# Заглавие\n\n{GO}"
    for block in load(name, text).blocks:
        assert isinstance(block, Block)
        assert text[block.start : block.start + len(block.text)] == block.text
        assert text.count("\n", 0, block.start) + 1 == block.metadata["line"]
