"""``oss docs add``: index text and Markdown files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from oss.cli.docs_store import Place, collections, open_place, store_options

if TYPE_CHECKING:
    from oss.contracts.retriever import Embedder
    from oss.contracts.store import Collection
    from oss.retrieval.writing import ChunkedDocument

_SUFFIXES = {".txt", ".md", ".markdown", ".rst"}


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--to", "name", required=True, shell_complete=collections, help="The collection.")
@click.option("--embedder", help="For a new collection; chosen by language if left out.")
@store_options
def add(
    paths: tuple[Path, ...],
    name: str,
    embedder: str | None,
    profile: str | None,
    store: str | None,
    url: str | None,
) -> None:
    """Add files and folders to a collection, which is made if it is not there."""
    import asyncio

    place = open_place(profile, store, url)
    documents = [_read(file) for path in paths for file in _files(path)]
    counts = asyncio.run(_add(place, name, embedder, documents))
    click.echo(f"{counts[0]} chunks embedded, {counts[1]} unchanged, in '{name}'", err=True)


async def _add(
    place: Place, name: str, embedder: str | None, documents: list[ChunkedDocument]
) -> tuple[int, int]:
    from oss.retrieval.writing import CollectionWriter

    collection, made = await _open(place, name, embedder, documents)
    with collection:
        writer = CollectionWriter(collection, made)
        written = await writer.write(documents)
        await writer.finish()
    return sum(w.embedded for w in written), sum(w.kept for w in written)


async def _open(
    place: Place, name: str, wanted: str | None, documents: list[ChunkedDocument]
) -> tuple[Collection, Embedder]:
    from oss.cli.progress import transfer_progress
    from oss.contracts.errors import UsageError
    from oss.retrieval.chunking import chunker_name
    from oss.retrieval.language import language_of, most_frequent
    from oss.retrieval.opening import (
        best_embedder,
        embedder_of,
        new_settings,
        open_embedder,
        unfit_languages,
    )

    languages = most_frequent(
        (language_of("\n".join(c.text for c in d.chunks[:20])) for d in documents if d.chunks),
        share=0.1,
    )
    exists = place.store.exists(name)
    if exists:
        settings = place.store.settings(name)
        made = embedder_of(place.plugins, settings)
        if wanted and wanted != settings.embedder:
            raise UsageError(
                f"collection '{name}' was made with embedder '{settings.embedder}'",
                hint="add to another collection, or remove this one first: oss docs rm",
            )
    else:
        made = open_embedder(place.plugins, wanted or best_embedder(languages))
    with transfer_progress() as progress:
        await made.prepare(progress)
    if unfit := unfit_languages(made, languages):
        click.echo(
            f"warning: embedder '{made.name}' was not made for: {', '.join(unfit)}; "
            "a collection of its own with --embedder multilingual finds better",
            err=True,
        )
    if exists:
        return place.store.open(name), made
    return place.store.create(name, await new_settings(made, {}, chunker_name())), made


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(f for f in path.rglob("*") if f.suffix.lower() in _SUFFIXES and f.is_file())


def _read(file: Path) -> ChunkedDocument:
    from oss.retrieval.chunking import blocks_of, pack
    from oss.retrieval.writing import ChunkedDocument

    text = file.read_text(encoding="utf-8", errors="replace")
    markdown = file.suffix.lower() != ".txt"
    chunks = pack(blocks_of(text, markdown=markdown))
    return ChunkedDocument(str(file), chunks, {"format": file.suffix.lower().lstrip(".")})
