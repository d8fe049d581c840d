"""``oss docs search``: what a profile's retriever would find."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from oss.cli.docs_store import collections, open_place, store_options

if TYPE_CHECKING:
    from oss.contracts.retriever import Passage


@click.command()
@click.argument("query", nargs=-1, required=True)
@click.option(
    "--in",
    "names",
    multiple=True,
    shell_complete=collections,
    help="Search in this collection; several times for several. All if left out.",
)
@click.option("-k", type=click.IntRange(min=1), help="How many passages; 5 if left out.")
@click.option("--where", help="Only passages for which this holds: 'source~manual and page<10'.")
@click.option("--mode", type=click.Choice(["hybrid", "dense", "bm25"]), help="How to search.")
@click.option("--fusion", type=click.Choice(["rrf", "dbsf"]), help="How hybrid joins rankings.")
@click.option("--diversity", type=click.FloatRange(0, 1), help="Above 0: passages differ more.")
@click.option("--neighbours", type=click.IntRange(min=0), help="Chunks around each hit.")
@click.option("--reranker", help="Puts the hits in a better order.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_options
def search(
    query: tuple[str, ...],
    names: tuple[str, ...],
    k: int | None,
    where: str | None,
    as_json: bool,
    profile: str | None,
    store: str | None,
    url: str | None,
    **given: Any,
) -> None:
    """Search the documents, as a prompt would.

    Scores order the passages of one search; they say nothing across searches.
    """
    import asyncio
    from functools import partial

    from oss.retrieval.filters import parse_filter
    from oss.retrieval.opening import check_collections, embedder_of, reranker_maker
    from oss.retrieval.search import SearchOptions, StoreRetriever

    place = open_place(profile, store, url)
    table = place.table
    condition = where or table.where
    parsed = parse_filter(condition) if condition else None
    chosen = names or table.collections or tuple(place.store.list())
    check_collections(place.store, chosen)
    options = SearchOptions(
        **{
            key: getattr(table, key) if given[key] is None else given[key]
            for key in ("mode", "fusion", "diversity", "neighbours")
        }
    )
    reranker = reranker_maker(place.plugins, given["reranker"] or table.reranker)
    retriever = StoreRetriever(
        place.store, chosen, partial(embedder_of, place.plugins), options, reranker_for=reranker
    )
    passages = asyncio.run(retriever.search(" ".join(query), k or table.k, parsed))
    if as_json:
        click.echo(json.dumps([as_row(p) for p in passages], ensure_ascii=False, indent=2))
    elif passages:
        _print(passages)
    else:
        click.echo("nothing found", err=True)


def as_row(passage: Passage) -> dict[str, Any]:
    """A passage as JSON."""
    return {
        "source": passage.source,
        "score": passage.score,
        "span": list(passage.span),
        "text": passage.text,
        "metadata": dict(passage.metadata),
    }


def _print(passages: list[Passage]) -> None:
    import sys

    from oss.cli.sources import linked, place_text

    for number, passage in enumerate(passages, 1):
        title = linked(passage, place_text(passage), sys.stdout)
        click.echo(f"[{number}] {click.style(title, bold=True)}  {passage.score:.3f}")
        lines = [line for line in passage.text.splitlines() if line.strip()]
        for line in lines[:8]:
            shown = "".join(c for c in line if c.isprintable() or c == "\t")
            click.echo(f"    {shown[:300]}")
        if len(lines) > 8:
            click.echo(f"    … {len(lines) - 8} more lines")
        click.echo()
