"""``oss data filter``: keep some rows, by conditions, by number, or one by one by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from oss.cli.counting import count
from oss.cli.data_files import files_argument, items_of, output_options, output_to, said

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oss.data.reading import Item
    from oss.data.rows import Fault


@click.command("filter")
@files_argument
@output_options
@click.option("--where", metavar="CONDITION", help="Keep the rows for which this holds.")
@click.option("--keep", metavar="NUMBERS", help="Keep these lines (of Parquet: rows): 1,5-9.")
@click.option("--drop", metavar="NUMBERS", help="Drop these lines.")
@click.option("--usable", is_flag=True, help="Drop rows with errors (`oss data check`).")
@click.option("--review", is_flag=True, help="Then ask for each: keep, drop or edit.")
def filter_(
    files: tuple[Path, ...],
    output: Path | None,
    force: bool,
    where: str | None,
    keep: str | None,
    drop: str | None,
    usable: bool,
    review: bool,
    encoding: str,
) -> int:
    """Write some rows of FILES, as they are, into a new file.

    Every option must let a row pass. CONDITION is explained by `oss data show --help`. With
    --review each row is shown, and a key decides; what was decided is kept on disk at once, so that
    the same command goes on where it was stopped.
    """
    from oss.contracts.errors import UsageError
    from oss.data.rows import Fault

    if keep and drop:
        raise UsageError("give --keep or --drop, not both")
    if (keep or drop) and len(files) > 1:
        raise UsageError("--keep and --drop are numbers of one file", hint="filter each by itself")
    if review:
        if output is None:
            raise UsageError("a review needs an output", hint="-o NEW.jsonl")
        from oss.cli.data_review import review_rows

        words = (where, keep, drop, usable, encoding)
        chosen = _Chosen(files, encoding, where, keep, drop, usable)
        return review_rows(chosen, files, output, force=force, selection=repr(words))
    chosen = _Chosen(files, encoding, where, keep, drop, usable)
    written = unreadable = 0
    with output_to(output, files, force=force) as writer:
        for item, _ in chosen:
            if item.record is None:
                unreadable += 1
                fault = item.row
                if isinstance(fault, Fault):
                    click.echo(f"left out: {fault}", err=True)
                continue
            writer.write(item.record, item.raw)
            written += 1
    if chosen.unseen:
        click.echo(f"no row has '{', '.join(sorted(chosen.unseen))}'", err=True)
    gone = chosen.total - written
    more = f", {unreadable:,} of them cannot be read" * bool(unreadable)
    said(output, f"{count(written)} kept, {gone:,} dropped{more}")
    return 0


class _Chosen:
    """The rows that pass, with their faults where these are asked for. Can be gone through again.

    :ivar total: rows of the last time, those that did not pass included.
    :ivar unseen: names of the condition that no row had.
    """

    def __init__(
        self,
        files: tuple[Path, ...],
        encoding: str,
        where: str | None,
        keep: str | None,
        drop: str | None,
        usable: bool,
    ) -> None:
        from oss.cli.data_files import faults_of
        from oss.data.selecting import Condition, Numbers

        self._files, self._encoding, self._usable = files, encoding, usable
        self._condition = Condition(where) if where else None
        self._keep = Numbers(keep) if keep else None
        self._drop = Numbers(drop) if drop else None
        self.faults: dict[tuple[str, int], list[Fault]] = {}
        if usable or (self._condition is not None and self._condition.asks_faults):
            self.faults = faults_of(files, encoding)
        self.total = 0

    @property
    def unseen(self) -> set[str]:
        return self._condition.unseen if self._condition is not None else set()

    def __iter__(self) -> Iterator[tuple[Item, list[Fault]]]:
        self.total = 0
        for item in items_of(self._files, self._encoding):
            self.total += 1
            faults = self.faults.get((item.origin.file, item.origin.line), [])
            if self._passes(item, faults):
                yield item, faults

    def _passes(self, item: Item, faults: list[Fault]) -> bool:
        line = item.origin.line
        if self._keep is not None and line not in self._keep:
            return False
        if self._drop is not None and line in self._drop:
            return False
        if self._usable and any(fault.fatal for fault in faults):
            return False
        return self._condition is None or self._condition.holds(item, faults)
