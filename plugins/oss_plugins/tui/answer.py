"""An answer that grows, drawn line by line.

One widget for the whole of an answer, and not one for each paragraph: what grows is measured and
painted at the cost of its last block, however long the answer is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.visual import Visual
from textual.widget import Widget

from oss.turn.untrusted import printable
from oss_plugins.tui.markdown import Block, Piece, Rule, Table, Words, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.geometry import Size
    from textual.selection import Selection

NARROWEST = 4
"""Columns of text, of a table's cell too."""


class Answer(Widget):
    """Markdown. ``[1]`` is a link to the first passage, where there is one.

    :param passages: says how many passages there are.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"answer--code"}
    DEFAULT_CSS = """
    Answer {
        height: auto; padding: 0 2; margin: 0 0 1 0;
        .answer--code { background: $panel; color: $foreground; }
    }
    """

    class LinkClicked(Message):
        """Someone wants to see what a link leads to."""

        def __init__(self, href: str) -> None:
            super().__init__()
            self.href = href

    def __init__(self, text: str, passages: Callable[[], int]) -> None:
        super().__init__()
        self._passages = passages
        self._text = printable(text)
        self._last_at = 0  # where the last block begins, which may still change
        self._blocks: list[Block] = []  # those before it
        self._last: list[Block] = []
        self._width = 0
        self._lines: list[Strip] = []
        self._painted: list[Strip] = []  # the same with what stands beside them, as far as needed
        self._faded = False  # drawn in colours of before
        self._settled = 0  # lines of the blocks before the last
        self._read()

    def grow(self, text: str) -> None:
        """Add to the end."""
        self._text += printable(text)
        height, settled = len(self._lines), self._settled
        fresh = self._read()
        if not self._width:
            self.refresh(layout=True)
            return
        self._draw(fresh)
        if len(self._lines) != height:
            self.refresh(layout=True)
        else:
            self.refresh(Region(0, settled, self.outer_size.width, height - settled))

    def _read(self) -> int:
        """Read what may have changed; how many blocks are new among the settled ones."""
        blocks = read(self._text[self._last_at :], self._passages())
        if not blocks:
            return 0
        self._blocks += blocks[:-1]
        self._last = blocks[-1:]
        for _ in range(blocks[-1].line):
            self._last_at = self._text.index("\n", self._last_at) + 1
        return len(blocks) - 1

    def _draw(self, fresh: int) -> None:
        del self._lines[self._settled :]
        del self._painted[self._settled :]
        for block in self._blocks[len(self._blocks) - fresh :]:
            self._add(block)
        self._settled = len(self._lines)
        for block in self._last:
            self._add(block)

    def _add(self, block: Block) -> None:
        strips = [strip for piece in block.pieces for strip in self._strips(piece)]
        if self._lines:
            strips.insert(0, Strip.blank(self._width, self.visual_style.rich_style))
        # Each knows its place, for the mouse: once, and not whenever it is painted.
        at = len(self._lines)
        self._lines += [strip.apply_offsets(0, at + y) for y, strip in enumerate(strips)]

    def _strips(self, piece: Piece) -> list[Strip]:
        left = piece.margin.first.cell_length
        width = max(self._width - left, NARROWEST)
        if isinstance(piece, Words):
            strips = self._code(piece.text, width) if piece.code else self._wrap(piece.text, width)
        elif isinstance(piece, Rule):
            strips = self._wrap(Content.styled("─" * width, "dim"), width)
        else:
            strips = self._table(piece, width)
        if not left:
            return strips
        first, *_ = self._wrap(piece.margin.first, left)
        rest, *_ = self._wrap(piece.margin.rest, left)
        return [Strip.join([rest if n else first, strip]) for n, strip in enumerate(strips)]

    def _wrap(self, text: Content, width: int) -> list[Strip]:
        style = self.visual_style
        strips = Visual.to_strips(self, text, width, None, style, apply_selection=False, pad=True)
        return strips or [Strip.blank(width, style.rich_style)]

    def _code(self, text: Content, width: int) -> list[Strip]:
        style = self.get_visual_style("answer--code")
        side = Strip.blank(1, style.rich_style)
        strips = Visual.to_strips(
            self, text, width - 2, None, style, apply_selection=False, pad=True
        )
        return [Strip.join([side, strip, side]) for strip in strips]

    def _table(self, table: Table, width: int) -> list[Strip]:
        columns = max(map(len, table.rows))
        rows = [[*row, *[Content()] * (columns - len(row))] for row in table.rows]
        widths = [max(1, *(row[at].cell_length for row in rows)) for at in range(columns)]
        while sum(widths) + 3 * (columns - 1) > width and max(widths) > NARROWEST:
            widths[widths.index(max(widths))] -= 1
        between = self._wrap(Content.styled(" │ ", "dim"), 3)[0]
        strips: list[Strip] = []
        for number, row in enumerate(rows):
            cells = [
                self._wrap(cell if number else cell.stylize_before("bold"), widths[at])
                for at, cell in enumerate(row)
            ]
            for line in range(max(map(len, cells))):
                parts: list[Strip] = []
                for at, cell in enumerate(cells):
                    blank = Strip.blank(widths[at], self.visual_style.rich_style)
                    parts += [between] if at else []
                    parts.append(cell[line] if line < len(cell) else blank)
                strips.append(Strip.join(parts))
            if number == 0:
                rule = "─┼─".join("─" * size for size in widths)
                strips += self._wrap(Content.styled(rule, "dim"), len(rule))
        right = self.visual_style.rich_style
        return [strip.adjust_cell_length(width, right) for strip in strips]

    # What the screen asks of a widget.

    def get_content_width(self, container: Size, viewport: Size) -> int:  # noqa: ARG002
        """All there is."""
        return container.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """Lines at a width."""
        if width != self._width:
            self._width = width
            self._draw_all()
        return len(self._lines)

    def _draw_all(self) -> None:
        self._faded = False
        self._lines, self._painted, self._settled = [], [], 0
        self._draw(len(self._blocks))

    def notify_style_update(self) -> None:
        """Other colours: draw again, when they are all known."""
        super().notify_style_update()
        self._faded = True

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines of the widget. As an answer grows each is painted many times, and a line that was
        painted before needs no work.
        """
        if self._faded or self.text_selection is not None or self.hover_style.link_id:
            return super().render_lines(crop)
        left, right = self.gutter.left, self.gutter.right
        style = self.visual_style.rich_style
        for line in self._lines[len(self._painted) : crop.bottom]:
            sides = Strip.blank(left, style), Strip.blank(right, style)
            self._painted.append(Strip.join([sides[0], line, sides[1]]))
        strips = self._painted[crop.y : crop.bottom]
        strips += [Strip.blank(self.size.width + left + right, style)] * (crop.height - len(strips))
        ground = self.background_colors[1]
        for each in self.get_line_filters():
            strips = [strip.apply_filter(each, ground) for strip in strips]
        if crop.column_span != (0, self.outer_size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def render_line(self, y: int) -> Strip:
        """A line, with what the mouse selected of it."""
        if self._faded:
            self._draw_all()
        if y >= len(self._lines):
            return Strip.blank(self.size.width, self.visual_style.rich_style)
        strip = self._lines[y]
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(y)) is not None:
            start, end = span
            end = strip.cell_length if end == -1 else end
            style = self.screen.get_component_rich_style("screen--selection")
            before, chosen, after = strip.divide([start, end, strip.cell_length])
            strip = Strip.join([before, chosen.apply_style(style), after])
        return strip

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The text that the mouse selected."""
        return selection.extract("\n".join(strip.text.rstrip() for strip in self._lines)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002
        """Draw it."""
        self.refresh()

    def action_link(self, href: str) -> None:
        """A link was clicked."""
        self.post_message(self.LinkClicked(href))
