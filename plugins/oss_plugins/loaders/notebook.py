"""Jupyter notebooks: what their author wrote, not what the cells printed."""

from __future__ import annotations

import msgspec

from oss.contracts.errors import UsageError
from oss.contracts.loader import Loaded, Loader
from oss.retrieval.blocks import BlockList
from oss.retrieval.chunking import blocks_of
from oss_plugins.loaders.decoding import decode


class _Cell(msgspec.Struct):
    cell_type: str
    source: str | list[str] = ""

    @property
    def text(self) -> str:
        return self.source if isinstance(self.source, str) else "".join(self.source)


class _Notebook(msgspec.Struct):
    cells: list[_Cell]


class NotebookLoader(Loader):
    """Markdown and code cells; a code cell stays whole, under the last heading above it."""

    def load(self, data: bytes, name: str) -> Loaded:  # noqa: ARG002
        """A notebook of format 4."""
        try:
            notebook = msgspec.json.decode(decode(data), type=_Notebook)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UsageError(f"is no notebook of format 4: {error}") from error
        blocks = BlockList()
        headings: list[tuple[int, str]] = []
        for number, cell in enumerate(notebook.cells, 1):
            above = tuple(title for _, title in headings)
            if cell.cell_type == "markdown":
                for line in cell.text.splitlines():
                    level = len(line) - len(line.lstrip("#"))
                    if 0 < level < 7 and line[level : level + 1] in (" ", "\t"):
                        headings = [h for h in headings if h[0] < level]
                        headings.append((level, line[level:].strip(" \t#")))
                first = next(iter(blocks_of(cell.text)), None)
                base = above if first and not first.heading else ()
                _add_markdown(blocks, cell.text, base, number)
            elif cell.cell_type == "code":
                blocks.add(cell.text, above, alone=True, cell=number)
        return Loaded(blocks)


def _add_markdown(blocks: BlockList, text: str, above: tuple[str, ...], number: int) -> None:
    for block in blocks_of(text):
        blocks.add(block.text, block.heading or above, cell=number)
