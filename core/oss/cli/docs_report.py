"""The report of an indexing run, and its progress while it lasts."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from oss.cli.counting import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oss.retrieval.indexing.report import Report, Steps, Watcher

_MOST_FAULTS = 50


def finish(reports: Sequence[Report], *, as_json: bool, strict: bool) -> int:
    """Print what was done.

    :return: the exit code: 1 where files were skipped and ``strict`` asks for it.
    """
    for report in reports:
        print_report(report)
    if as_json:
        rows = [report.as_json() for report in reports]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    return int(strict and any(report.faults for report in reports))


def print_report(report: Report) -> None:
    """To stderr: the counts, then each file that was skipped with the reason."""
    counts = [
        f"{number} {what}"
        for number, what in (
            (report.added, "added"),
            (report.changed, "changed"),
            (report.unchanged, "unchanged"),
            (report.removed, "removed"),
        )
        if number or what == "added"
    ]
    chunks = f"{count(report.embedded, 'chunk')} embedded"
    if report.kept:
        chunks += f", {report.kept} kept"
    click.echo(f"{report.collection}: files: {', '.join(counts)}; {chunks}", err=True)
    if report.ignored:
        by_suffix = sorted(report.ignored.items(), key=lambda pair: (-pair[1], pair[0]))
        told = ", ".join(f"{suffix} {number}" for suffix, number in by_suffix[:8])
        more = f", and {len(by_suffix) - 8} more kinds" if len(by_suffix) > 8 else ""
        total = sum(report.ignored.values())
        click.echo(f"{count(total, 'file')} of kinds that no loader reads: {told}{more}", err=True)
    if report.faults:
        click.echo(f"{len(report.faults)} skipped:", err=True)
        for path, why in sorted(report.faults.items())[:_MOST_FAULTS]:
            click.echo(f"  {_one_line(path)}: {_one_line(why)}", err=True)
        if len(report.faults) > _MOST_FAULTS:
            click.echo("  ... (--json has all)", err=True)


def _one_line(text: str) -> str:
    """Without control characters, which the name of a file may hold."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())


@contextmanager
def drawn(name: str) -> Iterator[Watcher]:
    """A watcher that draws a bar on a terminal: by bytes, which tell the time that is left better
    than files do. Elsewhere it says nothing.
    """
    if not sys.stderr.isatty():
        yield lambda steps: None  # noqa: ARG005
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[files]} files, {task.fields[chunks]} chunks"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(name, total=None, files="0", chunks=0)

        def draw(steps: Steps) -> None:
            bars.update(
                bar,
                completed=steps.written,
                total=max(steps.size, 1),
                files=f"{steps.done}/{steps.files}",
                chunks=steps.chunks,
            )

        yield draw
