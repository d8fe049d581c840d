"""What stands behind the parts of a conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.geometry import Region
from textual.widget import Widget

if TYPE_CHECKING:
    from textual.strip import Strip


class Ground(Widget):
    """Every line is like the first; painted, whenever an answer grows, at the cost of one. Named
    last among the bases: of the first a widget has its looks.
    """

    def render_lines(self, crop: Region) -> list[Strip]:
        """So many times the first."""
        return super().render_lines(Region(crop.x, 0, crop.width, 1)) * crop.height
