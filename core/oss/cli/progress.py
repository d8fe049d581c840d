"""A progress bar for transfers: on stderr, and only where a person sees it."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import TaskID

    from oss.contracts.model import Progress


@contextlib.contextmanager
def transfer_progress() -> Iterator[Progress]:
    """A :class:`oss.contracts.model.Progress` that draws a bar on a terminal.

    Elsewhere it prints one line per step (``fetching ...``), so that a log shows what went on.
    """
    if not sys.stderr.isatty():
        last = ""

        def tell(done: int, total: int, label: str) -> None:  # noqa: ARG001
            nonlocal last
            if label != last:
                last = label
                sys.stderr.write(f"{label}\n")

        yield tell
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def draw(done: int, total: int, label: str) -> None:
            if label not in tasks:
                for task in tasks.values():
                    bars.update(task, visible=False)
                tasks[label] = bars.add_task(label, total=None)
            bars.update(tasks[label], completed=done, total=total or None)

        yield draw
