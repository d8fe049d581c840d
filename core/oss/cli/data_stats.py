"""``oss data stats``: how many, how long, in which languages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from oss.cli.complete import models as complete_models
from oss.cli.complete import profiles as complete_profiles
from oss.cli.counting import count
from oss.cli.data_files import files_argument, items_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from oss.data.stats import Stats


@click.command()
@files_argument
@click.option(
    "-p",
    "--profile",
    metavar="NAME",
    shell_complete=complete_profiles,
    help="Count tokens with its model; estimated if left out.",
)
@click.option(
    "-m", "--model", metavar="NAME", shell_complete=complete_models, help="Count with this model."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stats(
    files: tuple[Path, ...], profile: str | None, model: str | None, as_json: bool, encoding: str
) -> None:
    """Count the rows of FILES: formats, turns, tokens, lengths, languages."""
    import asyncio

    from oss.data.stats import Stats

    counts = Stats()
    if profile is None and model is None:
        for item in items_of(files, encoding):
            counts.feed(item)
    else:
        asyncio.run(_count(counts, files, encoding, profile, model))
    summary = counts.summary() | {"tokens_are": "counted" if profile or model else "estimated"}
    if as_json:
        click.echo(json.dumps(summary, ensure_ascii=False, indent=2))
    else:
        _print(summary)


async def _count(
    counts: Stats, files: Sequence[Path], encoding: str, profile: str | None, model: str | None
) -> None:
    from oss.cli.data_tokens import token_counter
    from oss.contracts.errors import BackendError
    from oss.data.rows import Fault

    refused = 0
    async with token_counter(profile, model, None) as counter:
        for item in items_of(files, encoding):
            tokens = None
            if not isinstance(item.row, Fault):
                try:
                    tokens = await counter.count(item.row)
                except BackendError:  # `check` says what the template has against the row
                    refused += 1
            counts.feed(item, tokens)
    if refused:
        click.echo(f"{count(refused)} refused by the model's template; estimated", err=True)


def _print(summary: dict[str, Any]) -> None:
    from oss.cli.tables import print_table

    def listed(counts: dict[str, int]) -> str:
        return ", ".join(f"{name} {number:,}" for name, number in counts.items())

    facts = {
        "rows": f"{summary['rows']:,}",
        "broken": f"{summary['broken']:,}" if summary["broken"] else "",
        "formats": listed(summary["formats"]),
        "kinds": listed(summary["kinds"]),
        "scripts": listed(summary["scripts"]),
        "languages": listed(summary["languages"]),
        "system texts": f"{summary['system_texts']:,}" if summary["system_texts"] else "",
        "with tools": f"{summary['with_tools']:,}" if summary["with_tools"] else "",
    }
    for name, value in facts.items():
        if value:
            click.echo(f"{name:<14}{value}")
    click.echo()
    print_table(
        ("length", "total", "least", "half", "9 of 10", "most"),
        [
            (
                f"{name} (estimated)" * (summary["tokens_are"] == "estimated" and name == "tokens")
                or name,
                *(f"{value:,}" for value in spread.values()),
            )
            for name, spread in summary["lengths"].items()
        ],
    )
