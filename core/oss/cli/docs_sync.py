"""``oss docs sync``: bring collections up to date with their files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from oss.cli.docs_store import collections, open_place, store_options

if TYPE_CHECKING:
    from oss.cli.docs_indexing import Task


@click.command()
@click.argument("names", nargs=-1, shell_complete=collections)
@click.option("--forget", multiple=True, help="First forget a path that was added.")
@click.option("--full", is_flag=True, help="Read every file again, whatever its size and time.")
@click.option("--watch", is_flag=True, help="Go on, and sync whenever files change.")
@click.option("--strict", is_flag=True, help="Exit with 1 when files were skipped.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@store_options
def sync(
    names: tuple[str, ...],
    forget: tuple[str, ...],
    full: bool,
    watch: bool,
    strict: bool,
    as_json: bool,
    profile: str | None,
    store: str | None,
    url: str | None,
) -> int:
    """Bring collections up to date with the files and folders that were added to them.

    Without NAMES, all collections. What is new or changed is read, what is gone is taken out.
    What could not be looked at (a disk that is not there, a folder without permission) stays.
    """
    from oss.cli.docs_indexing import Task
    from oss.cli.docs_report import finish
    from oss.contracts.errors import UsageError
    from oss.retrieval.opening import check_collections

    place = open_place(profile, store, url)
    chosen = names or place.table.collections or tuple(place.store.list())
    check_collections(place.store, chosen)
    if forget and len(chosen) != 1:
        raise UsageError("--forget needs the name of one collection")
    tasks = [Task(place.store, place.plugins, name) for name in chosen]
    for path in forget:
        tasks[0].forget(path)
    reports = [task.sync(full=full) for task in tasks]
    code = finish(reports, as_json=as_json, strict=strict)
    if watch:
        _watch(tasks)
    return code


def _watch(tasks: list[Task]) -> None:
    """Sync whenever something changes below the roots, until a signal ends it."""
    from oss.cli.docs_report import print_report
    from oss.contracts.errors import UsageError
    from oss.retrieval.extras import needs_extra

    with needs_extra("watch"):
        import watchfiles
    paths = sorted({root.path for task in tasks for root in task.roots()})
    if not paths:
        raise UsageError(
            "nothing to watch: no files were added", hint="oss docs add PATH --to NAME"
        )
    click.echo(f"watching {', '.join(paths)}; Ctrl-C ends", err=True)
    for _ in watchfiles.watch(*paths, watch_filter=None, raise_interrupt=False):
        for task in tasks:
            report = task.sync()
            if report.added or report.changed or report.removed:
                print_report(report)
