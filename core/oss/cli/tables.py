"""Tables for people: coloured on a terminal, aligned text elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, dim: Sequence[bool] = ()
) -> None:
    """Print rows to stdout; on a terminal in the terminal's width, else unbroken.

    :param dim: which rows are of lesser interest.
    """
    from rich.console import Console
    from rich.table import Table

    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else 10_000, highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(
            column, no_wrap=index == 0 or not terminal, overflow="fold", style="bold" * (not index)
        )
    for index, row in enumerate(rows):
        from rich.text import Text

        table.add_row(
            *(Text(cell) for cell in row),
            style="dim" if index < len(dim) and dim[index] else None,
        )
    with console.capture() as captured:
        console.print(table)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
