"""Markdown for a terminal, as it streams.

Every line is written once, as it comes, and only the line in progress is ever written again (with
its styles, when it is complete). What has scrolled by is never touched, so nothing stutters or
stands there twice however long the answer is. No line is broken or padded: a terminal wraps by
itself, and what is copied from it is the text.
"""

from __future__ import annotations

import re
import shutil
import sys
import unicodedata
from typing import TYPE_CHECKING

from oss.turn.untrusted import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from pygments.lexer import Lexer

BOLD, DIM, ITALIC, UNDERLINE, STRIKE, CYAN = "1", "2", "3", "4", "9", "36"
_END = {BOLD: "22", DIM: "22", ITALIC: "23", UNDERLINE: "24", STRIKE: "29", CYAN: "39"}

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)")
_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.*?)(?:\s+#+)?\s*$")
_BULLET = re.compile(r"^(\s*)[-*+]\s+(.*)$")
_NUMBER = re.compile(r"^(\s*\d{1,9}[.)]\s+)(.*)$")
_QUOTE = re.compile(r"^ {0,3}>\s?(.*)$")
_RULE = re.compile(r"^ {0,3}([-*_])(?:\s*\1){2,}\s*$")
_STYLES = {"strong": BOLD, "em": ITALIC, "s": STRIKE, "link": UNDERLINE}


def styled(text: str, *styles: str) -> str:
    """The text between escape sequences."""
    for style in styles:
        text = f"\x1b[{style}m{text}\x1b[{_END[style]}m"
    return text


def rows_of(text: str, width: int) -> int:
    """How many rows of a terminal a line takes."""
    rows, column = 1, 0
    for character in text:
        if character == "\t":
            column = min((column // 8 + 1) * 8, width)
            continue
        if unicodedata.combining(character):
            continue
        cells = 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if column + cells > width:
            rows, column = rows + 1, 0
        column += cells
    return rows


class MarkdownWriter:
    """Writes an answer to the terminal that stdout is."""

    def __init__(self) -> None:
        self._line = ""
        self._fence = ""
        self._lexer: Lexer | None = None
        self._code: list[str] = []
        self._parser: MarkdownIt | None = None
        self._wrote = False

    def write(self, text: str) -> None:
        """A piece of the answer."""
        *complete, rest = printable(text).split("\n")
        for part in complete:
            self._show(part)
            self._end_line()
        self._show(rest)
        sys.stdout.flush()

    def end(self) -> None:
        """The answer is over."""
        if self._line:
            self._end_line()
        self._fence = ""
        sys.stdout.flush()

    def _show(self, part: str) -> None:
        self._line += part
        sys.stdout.write(part)

    def _end_line(self) -> None:
        line, self._line = self._line, ""
        done = self._styled_line(line)
        if done != line:
            size = shutil.get_terminal_size()
            rows = rows_of(line, size.columns)
            if rows < size.lines:  # else its beginning is out of reach
                up = f"\x1b[{rows - 1}A" if rows > 1 else ""
                sys.stdout.write(f"{up}\r\x1b[J{done}")
        sys.stdout.write("\n")

    def _styled_line(self, line: str) -> str:
        fence = _FENCE.match(line)
        if self._fence:
            if fence and fence.group(1).startswith(self._fence) and not fence.group(2):
                self._fence = ""
                return styled(line, DIM)
            return self._code_line(line)
        if fence:
            self._fence, self._code = fence.group(1), []
            self._lexer = _lexer(fence.group(2))
            return styled(line, DIM)
        return self._text_line(line)

    def _code_line(self, line: str) -> str:
        if self._lexer is None or not line.strip():
            self._code.append(line)
            return line
        from pygments import highlight
        from pygments.formatters import TerminalFormatter

        # The whole block up to here: a line alone may be the inside of a long string.
        self._code.append(line)
        text = highlight("\n".join(self._code), self._lexer, TerminalFormatter())
        return text.rstrip("\n").rsplit("\n", 1)[-1]

    def _text_line(self, line: str) -> str:
        if not line.strip() or line.startswith("    "):
            return line
        if _RULE.match(line):
            return styled("─" * 20, DIM)
        if heading := _HEADING.match(line):
            level = len(heading.group(1))
            return styled(self._inline(heading.group(2)), BOLD, *([UNDERLINE] * (level < 3)))
        if quote := _QUOTE.match(line):
            return styled("│ ", DIM) + self._inline(quote.group(1))
        if bullet := _BULLET.match(line):
            return f"{bullet.group(1)}• {self._inline(bullet.group(2))}"
        if number := _NUMBER.match(line):
            return number.group(1) + self._inline(number.group(2))
        return self._inline(line)

    def _inline(self, text: str) -> str:
        if not re.search(r"[*_`\[~<&\\]", text):
            return text
        if self._parser is None:
            from markdown_it import MarkdownIt

            self._parser = MarkdownIt("commonmark").enable("strikethrough")
        tokens = self._parser.parseInline(text)
        return _render(tokens[0].children or []) if tokens else text


def _render(tokens: Sequence[Token]) -> str:
    out = []
    links: list[str] = []
    for token in tokens:
        name, _, edge = token.type.rpartition("_")
        if token.type == "code_inline":
            out.append(styled(token.content, CYAN))
        elif name in _STYLES and edge == "open":
            out.append(f"\x1b[{_STYLES[name]}m")
            if name == "link":
                links.append(str(token.attrs.get("href", "")))
        elif name in _STYLES and edge == "close":
            out.append(f"\x1b[{_END[_STYLES[name]]}m")
            if name == "link" and (address := links.pop()):
                out.append(styled(f" ({address})", DIM))
        elif token.type in ("softbreak", "hardbreak"):
            out.append(" ")
        elif token.type == "image":
            out.append(f"{token.content} ({token.attrs.get('src', '')})")
        else:
            out.append(token.content)
    return "".join(out)


def _lexer(language: str) -> Lexer | None:
    if not language:
        return None
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
