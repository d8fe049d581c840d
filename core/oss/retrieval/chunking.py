"""Documents cut into chunks: paragraphs under one heading, packed to about 170 words.

A loader gives blocks (a paragraph, a table row, a function), each knowing where it stands;
:func:`pack` joins neighbours until a chunk is full. Plain text and Markdown are cut into blocks by
:func:`blocks_of`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

WORDS = 170
"""Words per chunk: MiniLM sees 256 tokens, which English fills with about 190 words."""

_HEADING = re.compile(r"(#{1,6})[ \t]+(.+?)[ \t#]*$")
_FENCE = re.compile(r"[ \t]{0,3}(```+|~~~+)")
_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])[\"'»”)\]]*\s+|\n")
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Block:
    """A piece of a document that belongs together.

    :param start: where its text begins in the document's text, in characters.
    :param heading: the headings it stands under, outermost first.
    :param alone: never packed with neighbours (a row of a table, a definition in source code).
    :param metadata: where to find it: ``page``, ``line`` (both from 1), and what a loader knows.
    """

    text: str
    start: int
    heading: tuple[str, ...] = ()
    alone: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Chunk:
    """What is embedded and found as one.

    :param span: first and last character in the document's text, half open.
    """

    text: str
    span: tuple[int, int]
    heading: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def search_text(self) -> str:
        """What is embedded and counted: the headings, then the text."""
        return f"{' > '.join(self.heading)}\n{self.text}" if self.heading else self.text


def chunker_name(words: int = WORDS) -> str:
    """How the settings of a collection name this way of cutting."""
    return f"paragraphs-{words}"


def blocks_of(text: str, *, markdown: bool = True) -> Iterator[Block]:
    """The paragraphs of a text, with the Markdown headings above them and their lines.

    A fenced block of code is one paragraph, whatever its empty lines.
    """
    headings: list[tuple[int, str]] = []
    path: tuple[str, ...] = ()
    fence = ""
    begin: int | None = None
    begin_line = position = 0
    paragraph_end = 0

    def finished() -> Iterator[Block]:
        nonlocal begin
        if begin is not None:
            body = text[begin:paragraph_end]
            yield Block(body, begin, path, metadata={"line": begin_line})
            begin = None

    for number, line in enumerate(text.splitlines(keepends=True), 1):
        bare = line.rstrip()
        mark = _FENCE.match(bare) if markdown else None
        heading = _HEADING.match(bare) if markdown and not fence else None
        if heading:
            yield from finished()
            level = len(heading[1])
            headings = [h for h in headings if h[0] < level] + [(level, heading[2].strip())]
            path = tuple(title for _, title in headings)
        elif bare or fence:
            if begin is None:
                begin, begin_line = position, number
            paragraph_end = position + len(bare)
            if mark and not fence:
                fence = mark[1]
            elif mark and mark[1].startswith(fence) and bare.strip() == mark[1]:
                fence = ""
        else:
            yield from finished()
        position += len(line)
    yield from finished()


def pack(blocks: Iterable[Block], words: int = WORDS) -> list[Chunk]:
    """Chunks of at most about ``words`` words; neighbours under one heading, and on one page,
    share a chunk, and a longer block is cut at the ends of its sentences.
    """
    chunks: list[Chunk] = []
    waiting: list[Block] = []
    filled = 0

    def close() -> None:
        nonlocal filled
        if waiting:
            chunks.append(_joined(waiting))
            waiting.clear()
            filled = 0

    for block in blocks:
        size = len(_WORD.findall(block.text))
        if not size:
            continue
        if block.alone or size > words:
            close()
            chunks += (_joined([part]) for part in _cut(block, words))
            continue
        last = waiting[-1] if waiting else None
        if last and (
            filled + size > words
            or last.heading != block.heading
            or last.metadata.get("page") != block.metadata.get("page")
        ):
            close()
        waiting.append(block)
        filled += size
    close()
    return chunks


def _joined(blocks: list[Block]) -> Chunk:
    first, last = blocks[0], blocks[-1]
    text = "\n\n".join(block.text.strip() for block in blocks)
    return Chunk(text, (first.start, last.start + len(last.text)), first.heading, first.metadata)


def _cut(block: Block, words: int) -> Iterator[Block]:
    """A long block as parts of nearly equal size, cut where sentences, lines or words end."""
    total = len(_WORD.findall(block.text))
    parts = -(-total // words)
    if parts <= 1:
        yield block
        return
    aim = total / parts
    begin = done = 0
    for start, end, size in _pieces(block.text, words):
        if done and done + size > aim * 1.15:
            yield _part(block, begin, start)
            begin, done = start, 0
        done += size
        last = end
    if done:
        yield _part(block, begin, last)


def _pieces(text: str, words: int) -> Iterator[tuple[int, int, int]]:
    """Sentences as (start, end, words); one longer than a chunk comes in runs of words."""
    begin = 0
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    for end in [*ends, len(text)]:
        found = [match.span() for match in _WORD.finditer(text, begin, end)]
        for at in range(0, len(found), words):
            run = found[at : at + words]
            yield run[0][0], run[-1][1], len(run)
        begin = end


def _part(block: Block, begin: int, end: int) -> Block:
    text = block.text[begin:end].rstrip()
    metadata = dict(block.metadata)
    if "line" in metadata:
        metadata["line"] += block.text.count("\n", 0, begin)
    return Block(text, block.start + begin, block.heading, block.alone, metadata)
