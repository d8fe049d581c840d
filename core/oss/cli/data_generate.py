"""``oss data generate``: a teacher writes the answers."""

from __future__ import annotations

from pathlib import Path

import click

from oss.cli.complete import models as complete_models
from oss.cli.complete import profiles as complete_profiles
from oss.cli.data_files import encoding_option, force_option


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="A new .jsonl, .json or .parquet file.",
)
@click.option(
    "-p",
    "--profile",
    metavar="NAME",
    shell_complete=complete_profiles,
    help="The teacher: a profile's name or file.",
)
@click.option(
    "-m", "--model", metavar="NAME", shell_complete=complete_models, help="The teacher's model."
)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set table.key=value of the profile; may be repeated.",
)
@click.option("--max-tokens", type=click.IntRange(min=1), help="The longest answer, in tokens.")
@click.option(
    "--parallel",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Answers at the same time, where the engine can.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first prompts.")
@click.option("--with-system", is_flag=True, help="Keep the persona's system text in the rows.")
@click.option("--reasoning", is_flag=True, help="Keep the teacher's thinking in the rows.")
@click.option("--keep-cut", is_flag=True, help="Keep answers that reached the longest length.")
@force_option
@encoding_option
def generate(
    files: tuple[Path, ...],
    output: Path,
    profile: str | None,
    model: str | None,
    sets: tuple[str, ...],
    max_tokens: int | None,
    parallel: int,
    limit: int | None,
    with_system: bool,
    reasoning: bool,
    keep_cut: bool,
    force: bool,
    encoding: str,
) -> int:
    """Let a profile answer the prompts of FILES, and write prompt and answer as messages.

    FILES are text with a prompt on each line, or rows of any format, whose answers are not used.
    Each answer is kept in OUTPUT.part as soon as it is there: the same command goes on where it was
    stopped. Each row says who wrote it, in the key `provenance`.
    """
    import asyncio

    from oss.cli.data_teacher import Options, Teacher
    from oss.cli.interrupt import Interrupted, interruptible

    given = [f"model.name={model}"] if model else []
    given += [f"sampling.max_tokens={max_tokens}"] if max_tokens else []
    options = Options(
        files, output, encoding, limit, parallel, with_system, reasoning, keep_cut, force
    )
    teacher = Teacher(options, profile, (*sets, *given))
    try:
        asyncio.run(interruptible(teacher.run()))
    except Interrupted as interrupted:
        click.echo(f"\nstopped; {teacher.state()}; the same command goes on", err=True)
        return interrupted.exit_code
    return 0
