"""``oss data filter --review``: row by row, a key each."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from oss.cli.counting import count
from oss.cli.data_files import said

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from oss.data.reading import Item
    from oss.data.review import Decision, Journal
    from oss.data.rows import Fault

_HELP = (
    "k keep   d drop   e edit   b back   n next undecided   K keep all the rest   "
    "w write (undecided: drop)   q stop, go on later"
)
_UNREADABLE = "this row cannot be read as it is: e edits it, d drops it"


def review_rows(
    rows: Iterable[tuple[Item, list[Fault]]],
    inputs: Sequence[Path],
    output: Path,
    *,
    force: bool,
    selection: str,
) -> int:
    """Ask for each row; the exit code.

    :raises RefusedError: there is no terminal to ask at.
    """
    from oss.contracts.errors import RefusedError
    from oss.data.review import Journal
    from oss.data.writing import check_output, new_file

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise RefusedError(
            "a review needs a terminal", hint="without one: --where, --keep, --drop, --usable"
        )
    check_output(output, inputs, force=force)
    found = list(rows)
    if not found:
        click.echo("no row to review", err=True)
        return 0
    with Journal(output, inputs, selection) as journal:
        if journal.decisions:
            click.echo(f"going on: {count(len(journal.decisions))} decided before", err=True)
        try:
            finished = _Review(found, journal).run()
        except (KeyboardInterrupt, EOFError):
            finished = False
        if not finished:
            done = (
                f"{len(journal.decisions)} of {count(len(found))} decided, kept in {journal.path}"
            )
            click.echo(f"\n{done}; the same command goes on", err=True)
            return 130
        kept = 0
        with new_file(output, inputs, force=force) as writer:
            for number, (item, _) in enumerate(found):
                chosen = apply(item, journal.decisions.get(number))
                if chosen is not None and chosen.record is not None:
                    writer.write(chosen.record, chosen.raw)
                    kept += 1
        journal.remove()
    said(output, f"{count(kept)} kept, {len(found) - kept:,} dropped")
    return 0


def apply(item: Item, decision: Decision | None) -> Item | None:
    """What a decision makes of a row; ``None`` where it is dropped."""
    if decision is None or decision.choice == "drop":
        return None
    if decision.record is not None:
        return replace(item, record=decision.record, raw=None)
    return item


class _Review:
    def __init__(self, rows: list[tuple[Item, list[Fault]]], journal: Journal) -> None:
        self._rows = rows
        self._journal = journal

    def run(self) -> bool:
        """Whether the output is to be written."""
        from oss.cli.data_rows import row_text
        from oss.data.editing import reread

        at = self._undecided(0)
        while True:
            if at >= len(self._rows):
                if (at := self._undecided(0)) < len(self._rows):
                    continue
                answer = click.prompt(
                    "every row is decided: w write, b back, q stop", default="w", err=True
                )
                if answer != "b":
                    return bool(answer == "w")
                at = len(self._rows) - 1
            item, faults = self._rows[at]
            decision = self._journal.decisions.get(at)
            if decision is not None and decision.record is not None:
                item = reread(item, decision.record)
            state = decision.choice if decision else "undecided"
            click.echo(f"\n{row_text(item, faults)}")
            click.secho(f"[{at + 1} of {len(self._rows)}, {state}]  {_HELP}", dim=True)
            key = click.getchar()
            if key in ("q", "\x03", "\x04"):
                return False
            if key == "w":
                return True
            if key == "K":
                for number in range(at, len(self._rows)):
                    row = self._rows[number][0]
                    if number not in self._journal.decisions and row.record is not None:
                        self._journal.decide(number, "keep")
                at = len(self._rows)
            else:
                at = self._one(key, at, item)

    def _one(self, key: str, at: int, item: Item) -> int:
        """Do what a key says; the row to show next."""
        if key in ("k", " ", "\r", "\n"):
            if item.record is None:
                click.echo(_UNREADABLE, err=True)
                return at
            before = self._journal.decisions.get(at)
            if before is None or before.record is None:  # an edited row is kept as edited
                self._journal.decide(at, "keep")
            return at + 1
        if key == "d":
            self._journal.decide(at, "drop")
            return at + 1
        if key == "e":
            return at + 1 if self._edit(at, item) else at
        if key == "b":
            return max(0, at - 1)
        if key == "n":
            return self._undecided(at + 1)
        click.echo(_HELP, err=True)
        return at

    def _edit(self, at: int, item: Item) -> bool:
        """Let the person edit until it is a row, or is left as it was."""
        from oss.data.editing import editable, edited
        from oss.data.formats import RowError

        text, suffix = editable(item)
        while True:
            changed = click.edit(text, extension=suffix)
            if changed is None or changed == text:
                click.echo("not changed", err=True)
                return False
            try:
                record = edited(item, changed)
            except RowError as error:
                click.echo(f"this is no row: {error}", err=True)
                if not click.confirm("edit it again?", default=True, err=True):
                    return False
                text = changed
                continue
            self._journal.decide(at, "edit", record)
            return True

    def _undecided(self, start: int) -> int:
        decided = self._journal.decisions
        return next((n for n in range(start, len(self._rows)) if n not in decided), len(self._rows))
