"""``oss docs migrate | export | backup | restore``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from oss.cli.counting import count
from oss.cli.docs_store import collections, open_place, store_options


@click.command()
@click.argument("name", shell_complete=collections)
@click.option("--to-profile", help="Where to: the store of this profile.")
@click.option("--to-store", help="Where to: this store.")
@click.option("--to-url", help="Where to: the address of the store's server.")
@click.option("--as", "new_name", help="What to call it there; its own name if left out.")
@store_options
def migrate(
    name: str,
    to_profile: str | None,
    to_store: str | None,
    to_url: str | None,
    new_name: str | None,
    profile: str | None,
    store: str | None,
    url: str | None,
) -> None:
    """Copy a collection to another store, vectors included, and compare the two.

    Nothing is embedded again, and the original stays: remove it with oss docs rm.
    """
    from oss.cli.progress import transfer_progress
    from oss.contracts.errors import UsageError
    from oss.retrieval import moving

    if not (to_profile or to_store or to_url or new_name):
        raise UsageError("where to?", hint="give --to-url, --to-profile or --to-store")
    source = open_place(profile, store, url).store
    target = open_place(to_profile, to_store, to_url).store
    with transfer_progress() as progress:
        moved = moving.migrate(source, name, target, new_name or name, progress)
    click.echo(
        f"{count(moved.points, 'chunk')} copied; "
        f"{moved.overlap:.0%} of the first ten hits are the same",
        err=True,
    )


@click.command()
@click.argument("name", shell_complete=collections)
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--layout",
    type=click.Choice(["langchain", "haystack", "llamaindex"]),
    default="langchain",
    help="The names of the fields.",
)
@click.option("--vectors", is_flag=True, help="With the vectors.")
@store_options
def export(
    name: str,
    file: Path | None,
    layout: Any,
    vectors: bool,
    profile: str | None,
    store: str | None,
    url: str | None,
) -> None:
    """Write the chunks as JSON lines, to FILE or to stdout."""
    from contextlib import ExitStack

    from oss.contracts.errors import StorageError
    from oss.retrieval.moving import export_rows

    place = open_place(profile, store, url)
    with ExitStack() as stack:
        collection = stack.enter_context(place.store.open(name))
        try:
            out = stack.enter_context(file.open("w", encoding="utf-8")) if file else sys.stdout
            for row in export_rows(collection, layout, vectors=vectors):
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
        except BrokenPipeError:
            raise
        except OSError as error:
            raise StorageError(f"cannot write {file}: {error.strerror}") from error


@click.command()
@click.argument("name", shell_complete=collections)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(name: str, file: Path) -> None:
    """Write a collection of this machine into one compressed file (.tar.gz)."""
    from oss.models.text import size_text
    from oss.retrieval import moving
    from oss.retrieval.folders import collections_dir

    size = moving.backup(collections_dir(), name, file)
    click.echo(f"{file}: {size_text(size)}", err=True)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--as", "name", required=True, help="What to call the collection.")
def restore(file: Path, name: str) -> None:
    """Bring back a collection from a file of oss docs backup."""
    from oss.retrieval import moving
    from oss.retrieval.folders import collections_dir

    moving.restore(collections_dir(), file, name)
    click.echo(f"restored '{name}'", err=True)
