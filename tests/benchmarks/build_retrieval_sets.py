"""Builds labelled search sets from documentation that Debian packages and Python itself carry.

    python tests/benchmarks/build_retrieval_sets.py FOLDER

needs apt-get and dpkg-deb, downloads about 35 MB into FOLDER/packages, and writes for each set
FOLDER/NAME.json: ``{"passages": {id: text}, "questions": [[question, [ids that answer]]]}``.

    faq   questions of the FAQs of Python, Perl and Debian; their answers without the headings,
          among passages of Python's and Perl's manuals
    man   the line of a manual page that ``whatis`` prints, ``name - summary``; the descriptions
    sum   the same without the names, which is harder
    doc   first sentences of docstrings of public names of the standard library; the rest of each
          (the set depends on the version of Python that runs this)
    rus   as man, of the pages in Russian; ``rsum`` without the names

Nothing is labelled by hand: an answer is what its author wrote under the question. A question is
never part of the text that answers it, and what two pages say of themselves in the same words is
left out.
"""

from __future__ import annotations

import ast
import gzip
import html
import json
import random
import re
import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from oss.retrieval.chunking import blocks_of, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGES = (
    "python3.11-doc", "perl-doc", "debian-faq", "manpages", "manpages-dev", "manpages-ru",
    "coreutils", "util-linux", "git-man", "procps", "openssh-client", "apt", "systemd", "tar",
    "findutils", "grep", "sed", "gzip", "bash", "iproute2", "e2fsprogs", "passwd", "dpkg",
    "openssl", "login", "mount", "gpg",
)  # fmt: skip
PASSAGES = {"faq": 5000, "man": 2729, "doc": 1229}
QUESTIONS = {"man": 1000, "doc": 1229}

Set = tuple[dict[str, str], list[tuple[str, list[str]]]]


def main(folder: Path) -> None:
    packages = folder / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    root = folder / "root"
    root.mkdir(exist_ok=True)
    for name in PACKAGES:
        if not list(packages.glob(f"{name}_*.deb")):
            subprocess.run(["apt-get", "download", "-q", name], cwd=packages, check=True)
        (found,) = packages.glob(f"{name}_*.deb")
        target = root / name
        if not target.exists():
            subprocess.run(["dpkg-deb", "-x", str(found), str(target)], check=True)
    for names, build in BUILDERS.items():
        for name, (passages, questions) in zip(names, build(root), strict=True):
            (folder / f"{name}.json").write_text(
                json.dumps({"passages": passages, "questions": questions}, ensure_ascii=False)
            )
            print(f"{name}: {len(questions)} questions, {len(passages)} passages")


def faq(root: Path) -> list[Set]:
    answers = [*python_faq(root), *perl_faq(root), *debian_faq(root)]
    passages: dict[str, str] = {}
    questions = []
    for number, (question, answer) in enumerate(answers):
        ids = []
        for part, chunk in enumerate(pack(blocks_of(answer, markdown=False))):
            ids.append(f"faq-{number}-{part}")
            passages[ids[-1]] = chunk.text
        if ids:
            questions.append((question, ids))
    others = []
    for file in sorted((root / "python3.11-doc").rglob("_sources/**/*.rst.txt")):
        if "faq" not in file.parts and "whatsnew" not in file.parts:
            others += pack(blocks_of(plain_rst(file.read_text("utf-8")), markdown=False))
    for file in sorted((root / "perl-doc").rglob("*.pod")):
        if "perlfaq" not in file.name and "delta" not in file.name:
            others += pack(blocks_of(plain_pod(file.read_text("utf-8", "replace")), markdown=False))
    random.Random(1).shuffle(others)
    for number, chunk in enumerate(others[: PASSAGES["faq"] - len(passages)]):
        passages[f"other-{number}"] = chunk.text
    return [(passages, questions)]


def python_faq(root: Path) -> Iterator[tuple[str, str]]:
    for file in sorted((root / "python3.11-doc").rglob("_sources/faq/*.rst.txt")):
        text = file.read_text("utf-8")
        parts = re.split(r"^(\S[^\n]*)\n([-=~]{4,})\n", text, flags=re.MULTILINE)
        for title, body in zip(parts[1::3], parts[3::3], strict=True):
            if title.rstrip().endswith("?"):
                yield plain_rst(title).strip(), plain_rst(body)


def perl_faq(root: Path) -> Iterator[tuple[str, str]]:
    for file in sorted((root / "perl-doc").rglob("perlfaq[1-9].pod")):
        parts = re.split(r"^=head2 ([^\n]+(?:\n[^\n=]+)*)\n", file.read_text("utf-8"), flags=re.M)
        for title, body in zip(parts[1::2], parts[2::2], strict=True):
            body = re.split(r"^=head1", body, flags=re.MULTILINE)[0]
            yield plain_pod(" ".join(title.split())).strip(), plain_pod(body)


def debian_faq(root: Path) -> Iterator[tuple[str, str]]:
    for file in sorted((root / "debian-faq").rglob("FAQ/*.en.html")):
        text = file.read_text("utf-8", "replace")
        parts = re.split(r"<h[23][^>]*>(.*?)</h[23]>", text, flags=re.DOTALL)
        for title, body in zip(parts[1::2], parts[2::2], strict=True):
            question = re.sub(r"^[\d. ]+", "", plain_html(title)).strip()
            if question.endswith("?"):
                yield question, plain_html(body)


class Page(NamedTuple):
    """What a manual page says of itself."""

    names: str
    summary: str
    description: str


def man(root: Path) -> list[Set]:
    pages = {}
    for file in sorted(root.rglob("usr/share/man/man*/*.gz")):
        if not file.is_symlink() and (page := read_page(file, "NAME", "DESCRIPTION")):
            pages.setdefault(file.name, page)
    return page_sets(pages, PASSAGES["man"], QUESTIONS["man"])


def rus(root: Path) -> list[Set]:
    pages = {}
    for file in sorted(root.rglob("usr/share/man/ru/man*/*.gz")):
        if not file.is_symlink() and (page := read_page(file, "ИМЯ|НАЗВАНИЕ", "ОПИСАНИЕ")):
            pages.setdefault(file.name, page)
    return page_sets(pages, len(pages), len(pages))


def page_sets(pages: dict[str, Page], passages: int, questions: int) -> list[Set]:
    kept = unlike(unlike(pages, lambda page: page.summary), lambda page: page.description)
    names = drawn(kept, passages)
    texts = {name: kept[name].description for name in names}
    asked = [(kept[name], [name]) for name in names[:questions]]
    return [
        (texts, [(f"{page.names} - {page.summary}", answers) for page, answers in asked]),
        (texts, [(page.summary, answers) for page, answers in asked]),
    ]


def unlike(items: dict[str, Any], said: Callable[[Any], str]) -> dict[str, Any]:
    """Without those that say the same: aliases of a page, docstrings that were copied."""
    counts = Counter(map(said, items.values()))
    return {name: item for name, item in items.items() if counts[said(item)] == 1}


def drawn(items: dict[str, Any], count: int) -> list[str]:
    """Names of so many of them, in an order that is the same every time."""
    names = sorted(items)
    random.Random(1).shuffle(names)
    return names[:count]


def read_page(file: Path, name: str, description: str) -> Page | None:
    """NAME, divided at its dash, and the first 170 words of DESCRIPTION."""
    text = plain_roff(gzip.decompress(file.read_bytes()).decode("utf-8", "replace"))
    first = re.search(rf"^## (?:{name})\s*\n(.+?)(?=^## |\Z)", text, re.M | re.S | re.I)
    body = re.search(rf"^## (?:{description})\s*\n(.+?)(?=^## |\Z)", text, re.M | re.S | re.I)
    if not first or not body:
        return None
    line = re.split(r"\s[-—–]+\s", " ".join(first[1].split()), maxsplit=1)
    words = body[1].split()
    if len(line) < 2 or len(words) < 10 or len(line[1].split()) < 2:
        return None
    return Page(line[0], line[1], " ".join(words[:170]))


def doc(root: Path) -> list[Set]:
    found = {}
    library = Path(sysconfig.get_paths()["stdlib"])
    skip = {"test", "tests", "idlelib", "site-packages", "lib2to3", "turtledemo"}
    for file in sorted(library.rglob("*.py")):
        if skip & set(file.relative_to(library).parts):
            continue
        try:
            tree = ast.parse(file.read_bytes())
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            text = " ".join((ast.get_docstring(node) or "").split())
            sentence, _, rest = re.sub(r"([.!?])\s", r"\1\n", text, count=1).partition("\n")
            public = not node.name.startswith("_")
            if public and len(sentence.split()) >= 5 and len(rest.split()) >= 20:
                name = f"{file.relative_to(library)}:{node.lineno}"
                found[name] = (sentence, " ".join(rest.split()[:170]))
    kept = unlike(unlike(found, lambda pair: pair[0]), lambda pair: pair[1])
    names = drawn(kept, PASSAGES["doc"])
    asked = [(kept[name][0], [name]) for name in names[: QUESTIONS["doc"]]]
    return [({name: kept[name][1] for name in names}, asked)]


def plain_rst(text: str) -> str:
    text = re.sub(r"^\.\. [^\n]*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r":\w+(?::\w+)?:`~?([^`<]+?)(?:\s*<[^>]*>)?`", r"\1", text)
    return re.sub(r"[`*]{1,2}|^[-=~^*]{4,}$", "", text, flags=re.MULTILINE)


def plain_pod(text: str) -> str:
    text = re.sub(r"^=\w+[^\n]*\n", "", text, flags=re.MULTILINE)
    for _ in range(3):
        text = re.sub(r"[A-Z]<{2,} (.*?) >{2,}|[A-Z]<([^<>]*)>", lambda m: m[1] or m[2], text)
    return text


def plain_html(text: str) -> str:
    text = re.sub(r"<(script|style).*?</\1>|<div class=\"nav.*", "", text, flags=re.DOTALL)
    text = re.sub(r"</(p|li|h\d|pre|div)>", "\n\n", text)
    return html.unescape(re.sub(r"<[^>]+>", "", text)).replace("\xa0", " ")


def plain_roff(text: str) -> str:
    """Words of a manual page; section headings on lines that begin with ``##``."""
    lines = []
    for line in text.splitlines():
        if line.startswith(('.\\"', "'\\\"")):
            continue
        if match := re.match(r"\.S[HhSs]\s*(.*)", line):
            title = match[1].strip('" ')
            lines.append(f"## {title}" if line[2] in "Hh" else "")
        elif re.match(r"\.(PP|P|LP|TP|IP|RE|RS|br|sp|nf|fi|Pp|El|Bl)\b", line):
            lines.append("")
        elif match := re.match(r"\.(B|I|BR|RB|IR|RI|BI|IB|SM|SB|Nm|Fl|Ar|Xr|Pa|Nd)\b\s*(.*)", line):
            lines.append(("- " if match[1] == "Nd" else "") + match[2].replace('"', ""))
        elif not line.startswith((".", "'")):
            lines.append(line)
    text = "\n".join(lines)
    text = re.sub(
        r"\\f\(?..?(?<=[A-Z1-4\]])|\\f\[\w*\]|\\s[-+]?\d+|\\[&|^/,%:]|\\\*\[?\w+\]?", "", text
    )
    text = re.sub(r"\\(?:\(|\[)(\w\w)\]?", lambda m: {"em": "-", "en": "-"}.get(m[1], " "), text)
    return text.replace("\\-", "-").replace("\\e", "\\").replace("\\ ", " ").replace("\\", "")


BUILDERS: dict[tuple[str, ...], Callable[[Path], list[Set]]] = {
    ("faq",): faq,
    ("man", "sum"): man,
    ("doc",): doc,
    ("rus", "rsum"): rus,
}
"""What makes which sets."""

if __name__ == "__main__":
    main(Path(sys.argv[1]))
