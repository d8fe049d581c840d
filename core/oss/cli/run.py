"""``oss run``: answer a prompt with a profile, or chat."""

from __future__ import annotations

from typing import Any

import click

from oss.cli.complete import models as complete_models
from oss.cli.complete import personas as complete_personas
from oss.cli.complete import profiles as complete_profiles


@click.command()
@click.argument("prompt", nargs=-1)
@click.option(
    "-p",
    "--profile",
    metavar="NAME",
    shell_complete=complete_profiles,
    help="A profile's name or file.",
)
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    type=click.Path(readable=False),
    help="Give the model this text file too; may be repeated.",
)
@click.option("-c", "--continue", "go_on", is_flag=True, help="Go on with the last conversation.")
@click.option("--conversation", type=int, metavar="ID", help="Go on with this conversation.")
@click.option(
    "--persona", metavar="NAME", shell_complete=complete_personas, help="A persona's name or file."
)
@click.option(
    "-m",
    "--model",
    metavar="NAME",
    shell_complete=complete_models,
    help="A model's name, path or reference.",
)
@click.option("--backend", metavar="NAME", help="An engine's name.")
@click.option(
    "--adapter",
    "adapters",
    multiple=True,
    metavar="PATH[:SCALE]",
    help="Load an adapter; may be repeated.",
)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set table.key=value of the profile; may be repeated.",
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
@click.option("-n", "--no-log", is_flag=True, help="Keep nothing of this conversation.")
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
