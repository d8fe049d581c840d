"""``oss data show``: rows as a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from oss.cli.counting import count
from oss.cli.data_files import files_argument, items_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oss.data.reading import Item
    from oss.data.rows import Fault


@click.command()
@files_argument
@click.option("--rows", metavar="NUMBERS", help="Lines (of Parquet: rows), such as 1,5-9.")
@click.option("--where", metavar="CONDITION", help="Rows for which this holds: 'answer~sorry'.")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--all", "everything", is_flag=True, help="Without a limit.")
@click.option("--random", "by_chance", is_flag=True, help="A sample, not the first.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the sample.")
@click.option("--faults", is_flag=True, help="With what `oss data check` says of each.")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON lines.")
def show(
    files: tuple[Path, ...],
    rows: str | None,
    where: str | None,
    limit: int,
    everything: bool,
    by_chance: bool,
    seed: int,
    faults: bool,
    as_json: bool,
    encoding: str,
) -> None:
    """Show rows of FILES.

    CONDITION is written like 'not faults~personal and (turns>2 or answer~"Ahoy")'. It may ask for
    line, file, broken, format, kind, turns, chars, tokens (estimated), question, answer,
    answer_chars, text, system, roles, language, faults, and for any key of the rows.
    """
    from oss.data.selecting import Condition, Numbers

    numbers = Numbers(rows) if rows else None
    condition = Condition(where) if where else None
    from oss.cli.data_files import faults_of

    found: dict[tuple[str, int], list[Fault]] = {}
    if faults or (condition and condition.asks_faults):
        found = faults_of(files, encoding)
    if rows or everything:
        limit = 0

    def wanted() -> Iterator[Item]:
        for item in items_of(files, encoding):
            if numbers is not None and item.origin.line not in numbers:
                continue
            its = found.get((item.origin.file, item.origin.line), [])
            if condition is None or condition.holds(item, its):
                yield item

    shown, total = 0, 0
    for item in _sample(wanted(), limit, seed) if by_chance and limit else wanted():
        total += 1
        if limit and shown == limit:
            continue
        shown += 1
        _print(item, found.get((item.origin.file, item.origin.line), []) if faults else [], as_json)
    if condition is not None and condition.unseen:
        click.echo(f"no row has '{', '.join(sorted(condition.unseen))}'", err=True)
    if shown < total:
        click.echo(f"{shown} of {count(total)}; --all shows every one", err=True)
    elif not total:
        click.echo("no such row", err=True)


def _print(item: Item, faults: list[Fault], as_json: bool) -> None:
    from oss.cli.data_rows import row_text

    if not as_json:
        click.echo(row_text(item, faults) + "\n")
        return
    if item.record is not None:
        import msgspec

        click.echo(item.raw or msgspec.json.encode(item.record))


def _sample(items: Iterator[Item], size: int, seed: int) -> list[Item]:
    """Equally likely rows of a stream (Vitter's algorithm R), in their order."""
    import random

    chance = random.Random(seed)  # noqa: S311  no secret
    kept: list[tuple[int, Item]] = []
    for number, item in enumerate(items):
        if number < size:
            kept.append((number, item))
        elif (place := chance.randrange(number + 1)) < size:
            kept[place] = (number, item)
    return [item for _, item in sorted(kept, key=lambda pair: pair[0])]
