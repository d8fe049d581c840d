"""Makes the blocks of a document that has no text of its own to count characters in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oss.retrieval.chunking import Block, blocks_of

if TYPE_CHECKING:
    from collections.abc import Sequence


class BlockList(list[Block]):
    """Blocks as they are added. Their ``start`` counts characters as if they were joined by
    empty lines.
    """

    def __init__(self) -> None:
        super().__init__()
        self._end = 0

    def add(
        self, text: str, heading: Sequence[str] = (), *, alone: bool = False, **where: Any
    ) -> None:
        """Add a piece; one without text is left out.

        :param where: metadata of the piece: ``page``, ``line``, ``row``, ``anchor``. What is
            ``None`` is left out.
        """
        text = text.strip("\n").rstrip()
        if not text.strip():
            return
        metadata = {key: value for key, value in where.items() if value is not None}
        self.append(Block(text, self._end, tuple(heading), alone, metadata))
        self._end += len(text) + 2

    def add_text(
        self, text: str, heading: Sequence[str] = (), *, markdown: bool = False, **where: Any
    ) -> None:
        """Add the paragraphs of a text, with the lines they are on."""
        for block in blocks_of(text, markdown=markdown):
            place = {"line": block.metadata["line"], **where}
            self.add(block.text, (*heading, *block.heading), **place)
