"""``oss docs eval``: how well a collection is found in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from oss.cli.docs_store import collections, open_place, store_options

if TYPE_CHECKING:
    from typing import TextIO


@click.command("eval")
@click.argument("name", shell_complete=collections)
@click.option(
    "--questions",
    type=click.File("r", encoding="utf-8"),
    help='JSON lines like {"question": "How ...?", "source": "guide.md"}; without them, sentences '
    "of the collection itself are the questions.",
)
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="How many questions to make from the collection.",
)
@click.option("--reranker", help="Rerank every method's hits.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_options
def evaluate(
    name: str,
    questions: TextIO | None,
    count: int,
    reranker: str | None,
    as_json: bool,
    profile: str | None,
    store: str | None,
    url: str | None,
) -> None:
    """Ask questions whose source is known, in every way of searching, and count.

    Recall is the share of questions with a right source among the first 1, 5 or 10; MRR the mean
    of 1 / rank of the first right one. Questions made from the collection are easier than real
    ones: they compare ways of searching, and show that nothing is broken.
    """
    import asyncio
    from dataclasses import asdict
    from functools import partial

    from oss.cli.progress import transfer_progress
    from oss.cli.tables import print_table
    from oss.retrieval import evaluation
    from oss.retrieval.opening import embedder_of, reranker_maker

    place = open_place(profile, store, url)
    if questions is not None:
        asked = evaluation.read_questions(questions.read(), questions.name)
    else:
        with place.store.open(name) as collection:
            asked = evaluation.known_items(collection, count)
    with transfer_progress() as progress:
        scores = asyncio.run(
            evaluation.evaluate(
                place.store,
                name,
                partial(embedder_of, place.plugins),
                asked,
                reranker_for=reranker_maker(place.plugins, reranker),
                progress=progress,
            )
        )
    if as_json:
        click.echo(json.dumps({key: asdict(score) for key, score in scores.items()}, indent=2))
        return
    kind = "questions of the file" if questions else "known items"
    click.echo(f"{len(asked)} {kind} in '{name}'", err=True)
    heading, *rows = evaluation.report_rows(scores)
    print_table(heading, rows)
