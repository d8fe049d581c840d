"""``oss run``: answer a prompt with a profile, or chat."""

from __future__ import annotations

from typing import Any

import click

from oss.cli.talk_options import talk_options


@click.command()
@click.argument("prompt", nargs=-1)
@talk_options
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    type=click.Path(readable=False),
    help="Give the model this text file too; may be repeated.",
)
@click.option("-t", "--temperature", type=float, help="0 is greedy.")
@click.option("--seed", type=int, help="Make the draw repeatable.")
@click.option("--max-tokens", type=int, help="The longest answer, in tokens.")
@click.option(
    "--schema",
    metavar="SCHEMA",
    help="Answer in JSON of this JSON Schema: a file, the JSON itself, or the short "
    "form 'name, age int'.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object: answer, usage, timings, model, ...",
)
@click.option(
    "--dry-run", is_flag=True, help="Print the exact messages and settings as JSON; run nothing."
)
@click.option("--show-reasoning", is_flag=True, help="Show the model's thinking, on stderr.")
@click.option("--stats", is_flag=True, help="Say on stderr what the answer took.")
@click.option("-q", "--quiet", is_flag=True, help="On stderr nothing but errors.")
def run(**given: Any) -> int:
    """Answer PROMPT with a profile. Without a prompt, on a terminal: chat.

    The prompt is made of the files in their order, then what comes by stdin, then PROMPT.
    Only the answer goes to stdout.
    """
    from oss.cli.run_task import RunOptions, run_task

    return run_task(RunOptions(**given))
