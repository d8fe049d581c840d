"""Reads the fenced blocks of the documentation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^(?P<mark>`{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=mark)\s*$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block: ``language`` is the first word of its info string, ``flags`` the rest."""

    page: Path
    line: int
    language: str
    flags: tuple[str, ...]
    body: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """The READMEs and everything under docs/."""
    return [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(*languages: str) -> list[Block]:
    """All blocks in one of these languages, in all pages."""
    found = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            language, *flags = match["info"].split() or [""]
            if language in languages:
                line = text.count("\n", 0, match.start()) + 1
                found.append(Block(page, line, language, tuple(flags), match["body"]))
    return found
