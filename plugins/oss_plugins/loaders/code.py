"""Source code, cut at definitions."""

from __future__ import annotations

import ast
import re
import warnings
from typing import TYPE_CHECKING

from oss.contracts.loader import Loaded, Loader
from oss.retrieval.chunking import WORDS, Block
from oss_plugins.loaders.decoding import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NAMED = re.compile(
    r"(?:^|\s)(?:func|function|fn|def|class|struct|enum|trait|impl|interface|type|module|"
    r"namespace|package|sub|proc|defun|object|protocol|extension|message|service|"
    r"table|view|procedure|trigger)\s+(?:\([^)]*\)\s*)?[`'\"]?([\w:.$]+)",
    re.I,
)
_CALLED = re.compile(r"([\w:~$]+)\s*\(")
_CLOSING = tuple("}])")
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class PythonLoader(Loader):
    """Functions and methods, each under the names of what it is in."""

    def load(self, data: bytes, name: str) -> Loaded:
        """Python; what this Python cannot parse is cut like any other language."""
        text = decode(data, _declared(data))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the code that is read
                tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return CodeLoader().load(data, name)
        lines = text.splitlines(keepends=True)
        starts = _starts(lines)
        return Loaded(list(_python(tree.body, (1, len(lines)), (), lines, starts)))


class CodeLoader(Loader):
    """Any language: a section begins at an unindented line after an empty one."""

    def load(self, data: bytes, name: str) -> Loaded:  # noqa: ARG002
        """Source code; the name on a section's first line is its heading."""
        lines = decode(data).splitlines(keepends=True)
        starts = _starts(lines)
        first = 0
        blocks: list[Block] = []
        for number in range(1, len(lines) + 1):
            if number == len(lines) or (not lines[number - 1].strip() and _opens(lines[number])):
                blocks += _piece(lines, starts, first + 1, number, _heading(lines[first:number]))
                first = number
        return Loaded(blocks)


def _declared(data: bytes) -> str | None:
    """The encoding that PEP 263 lets a file name in its first two lines."""
    found = re.search(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", b"\n".join(data.split(b"\n")[:2]))
    return found[1].decode() if found else None


def _starts(lines: Sequence[str]) -> list[int]:
    """Where each line begins, in characters."""
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    return starts


def _opens(line: str) -> bool:
    return bool(line.strip()) and not line[0].isspace() and not line.startswith(_CLOSING)


def _heading(lines: Sequence[str]) -> tuple[str, ...]:
    for line in lines:
        if line[:1].isspace() or line.startswith(("#", "//", "/*", "*", "--", ";", "@", "[")):
            continue
        found = _NAMED.search(line) or _CALLED.search(line)
        return (found[1],) if found else ()
    return ()


def _python(
    body: Sequence[ast.stmt],
    lines_of: tuple[int, int],
    path: tuple[str, ...],
    lines: Sequence[str],
    starts: Sequence[int],
) -> Iterator[Block]:
    """The definitions of a body, and what stands between them, in order."""
    at, last = lines_of
    for node in body:
        if not isinstance(node, _Definition):
            continue
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        while first > at and lines[first - 2].lstrip().startswith("#"):
            first -= 1  # the comment above belongs to it
        yield from _piece(lines, starts, at, first - 1, path)
        end = node.end_lineno or node.lineno
        inside = (*path, node.name)
        if isinstance(node, ast.ClassDef) and _words(lines, first, end) > WORDS:
            yield from _python(node.body, (first, end), inside, lines, starts)
        else:
            yield from _piece(lines, starts, first, end, inside, alone=True)
        at = end + 1
    yield from _piece(lines, starts, at, last, path)


def _words(lines: Sequence[str], first: int, last: int) -> int:
    return sum(len(line.split()) for line in lines[first - 1 : last])


def _piece(
    lines: Sequence[str],
    starts: Sequence[int],
    first: int,
    last: int,
    heading: tuple[str, ...],
    *,
    alone: bool = False,
) -> Iterator[Block]:
    """Lines ``first`` to ``last``, from 1, without the empty ones around them."""
    while first <= last and not lines[first - 1].strip():
        first += 1
    while last >= first and not lines[last - 1].strip():
        last -= 1
    if first <= last:
        text = "".join(lines[first - 1 : last]).rstrip()
        yield Block(text, starts[first - 1], heading, alone, {"line": first})
