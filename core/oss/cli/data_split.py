"""``oss data split``: a part to learn from and a part to judge by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from oss.cli.counting import count
from oss.cli.data_files import files_argument, force_option, items_of, said

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command()
@files_argument
@click.option(
    "--held-out",
    "share",
    default="10%",
    show_default=True,
    metavar="SHARE",
    help="A share of the questions (10%, 0.1) or their number (200).",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, another draw.")
@click.option("--exact", is_flag=True, help="Keep only the same questions together.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of the two files; that of the first input if left out.",
)
@force_option
def split(
    files: tuple[Path, ...],
    share: str,
    seed: int,
    exact: bool,
    output: Path | None,
    force: bool,
    encoding: str,
) -> None:
    """Write NAME.train.jsonl and NAME.held-out.jsonl.

    Rows with the same question, or nearly the same, stay together: none leaks from one part to
    the other. The draw depends on questions and seed alone; more rows move none to the other part.
    """
    from contextlib import ExitStack

    from oss.contracts.errors import UsageError
    from oss.data.rows import Fault
    from oss.data.splitting import group_questions, held_out
    from oss.data.views import question
    from oss.data.writing import new_file

    fraction = parse_share(share)
    first = files[0]
    folder = output or first.parent
    suffix = first.suffix if first.suffix in {".json", ".csv", ".parquet"} else ".jsonl"
    names = [folder / f"{first.stem}.{part}{suffix}" for part in ("train", "held-out")]
    counts, broken = [0, 0], 0
    with ExitStack() as stack:
        writers = [stack.enter_context(new_file(n, files, force=force)) for n in names]
        questions = group_questions(
            (question(i.row) for i in items_of(files, encoding) if not isinstance(i.row, Fault)),
            near=not exact,
        )
        if not questions:
            raise UsageError(f"{_names(files)}: no usable row")
        draw = iter(held_out(questions, fraction, seed))
        for item in items_of(files, encoding):
            if isinstance(item.row, Fault):
                broken += 1
                continue
            part = int(next(draw))
            counts[part] += 1
            writers[part].write(item.record or {}, item.raw)
    for name, number in zip(names, counts, strict=True):
        said(name, count(number))
    if broken:
        click.echo(f"{count(broken)} broken, in neither: oss data check", err=True)


def parse_share(text: str) -> float:
    """``10%`` and ``0.1`` are a share below 1; ``200`` is a number.

    :raises UsageError: neither.
    """
    from oss.contracts.errors import UsageError

    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1
    whole = not text.endswith("%") and value >= 1 and value == int(value)
    if not (0 < value < 1 or whole):
        raise UsageError(
            f"--held-out {text}: neither a share nor a number", hint="such as 10%, 0.1 or 200"
        )
    return value


def _names(files: Sequence[Path]) -> str:
    return ", ".join(map(str, files))
