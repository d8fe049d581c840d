"""``oss docs``: collections of documents, and what is in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from oss.cli.counting import count
from oss.cli.docs_add import add
from oss.cli.docs_eval import evaluate
from oss.cli.docs_move import backup, export, migrate, restore
from oss.cli.docs_search import search
from oss.cli.docs_store import collections, open_place, store_options
from oss.cli.docs_sync import sync

if TYPE_CHECKING:
    from oss.contracts.store import CollectionSettings


@click.group()
def docs() -> None:
    """Index documents, search them, and look after the collections they are in.

    A profile answers from them when it says [retriever] name = "qdrant",
    collections = ["NAME"].
    """


docs.add_command(add)
docs.add_command(sync)
docs.add_command(search)
for command in (evaluate, export, backup, restore, migrate):
    docs.add_command(command)


@docs.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_options
def list_(as_json: bool, profile: str | None, store: str | None, url: str | None) -> None:
    """List the collections."""
    from oss.cli.tables import print_table
    from oss.contracts.errors import BusyError

    place = open_place(profile, store, url)
    rows = []
    for name in place.store.list():
        settings = place.store.settings(name)
        row = _settings_row(name, settings)
        try:
            with place.store.open(name) as collection:
                row |= {"chunks": collection.count(), "sources": len(collection.values("source"))}
        except BusyError:
            row |= {"chunks": None, "sources": None}
        rows.append(row)
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    elif rows:
        print_table(
            ("collection", "sources", "chunks", "embedder", "languages"),
            [
                (
                    row["name"],
                    "in use" if row["sources"] is None else str(row["sources"]),
                    "" if row["chunks"] is None else str(row["chunks"]),
                    row["embedder"],
                    " ".join(row["languages"]),
                )
                for row in rows
            ],
        )
    else:
        click.echo("no collections: oss docs add PATH --to NAME", err=True)


@docs.command()
@click.argument("name", shell_complete=collections)
@click.option("--sources", is_flag=True, help="Each source with its number of chunks.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_options
def show(
    name: str,
    sources: bool,
    as_json: bool,
    profile: str | None,
    store: str | None,
    url: str | None,
) -> None:
    """Show how a collection was made, and what is in it."""
    place = open_place(profile, store, url)
    with place.store.open(name) as collection:
        row = _settings_row(name, collection.settings)
        counted = collection.values("source")
        row |= {"chunks": collection.count(), "sources": len(counted)}
        row["chunks_by_language"] = dict(collection.values("language"))
    if sources:
        row["chunks_by_source"] = dict(sorted(counted.items(), key=lambda pair: str(pair[0])))
    if as_json:
        click.echo(json.dumps(row, ensure_ascii=False, indent=2))
        return
    by_source = row.pop("chunks_by_source", {})
    by_language = row.pop("chunks_by_language")
    row["languages"] = ", ".join(f"{code} {count}" for code, count in by_language.items())
    for key, value in row.items():
        click.echo(f"{key.replace('_', ' '):<16} {value}")
    for source, number in by_source.items():
        click.echo(f"{number:>8} {source}")


@docs.command()
@click.argument("name", shell_complete=collections)
@click.argument("sources", nargs=-1)
@click.option("--where", help="Remove the chunks for which this holds, in place of sources.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@store_options
def rm(
    name: str,
    sources: tuple[str, ...],
    where: str | None,
    yes: bool,
    profile: str | None,
    store: str | None,
    url: str | None,
) -> None:
    """Remove sources from a collection, or the whole collection when none are named.

    Only the index is touched, never the files themselves: what 'oss docs sync' still finds comes
    back with it (oss docs sync --forget PATH).
    """
    from oss.contracts.errors import UsageError
    from oss.contracts.filters import OneOf
    from oss.retrieval.filters import parse_filter
    from oss.retrieval.indexing.manifest import forget_collection, forget_sources

    if sources and where:
        raise UsageError("name sources or give --where, not both")
    place = open_place(profile, store, url)
    if not sources and not where:
        place.store.settings(name)
        _confirm(f"Remove the collection '{name}' and its whole index?", yes)
        place.store.drop(name)
        forget_collection(place.store, name)
        click.echo(f"removed collection '{name}'", err=True)
        return
    condition = parse_filter(where) if where else OneOf("source", sources)
    with place.store.open(name) as collection:
        if missing := [s for s in sources if not collection.count(OneOf("source", (s,)))]:
            raise UsageError(
                f"collection '{name}' has no source '{missing[0]}'",
                hint=f"oss docs show {name} --sources",
            )
        points = list(collection.scroll(condition))
        ids = [point.id for point in points]
        if ids:
            _confirm(f"Remove {count(len(ids), 'chunk')} from '{name}'?", yes)
            forget_sources(place.store, name, {point.metadata["source"] for point in points})
            collection.delete(ids)
            collection.flush()
    click.echo(f"removed {count(len(ids), 'chunk')} from '{name}'", err=True)


def _confirm(question: str, yes: bool) -> None:
    """Ask, where there is someone to ask.

    :raises RefusedError: there is not, and ``--yes`` was not given.
    """
    import sys

    from oss.contracts.errors import RefusedError

    if yes:
        return
    if not sys.stdin.isatty():
        raise RefusedError("removing needs a yes", hint="add --yes")
    click.confirm(question, abort=True, err=True)


def _settings_row(name: str, settings: CollectionSettings) -> dict[str, Any]:
    return {
        "name": name,
        "embedder": settings.embedder,
        "fingerprint": settings.fingerprint,
        "dimension": settings.dimension,
        "chunker": settings.chunker,
        "languages": list(settings.languages),
        "average_length": settings.average_length,
    }
