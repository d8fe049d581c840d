"""``oss data convert`` and ``oss data dedupe``: new files of the same rows, and of fewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from oss.cli.counting import count
from oss.cli.data_files import files_argument, items_of, output_options, output_to, said

if TYPE_CHECKING:
    from pathlib import Path

    from oss.data.rows import Row

_FORMATS = (
    "messages",
    "prompt-completion",
    "alpaca",
    "sharegpt",
    "preference",
    "prompt",
    "text",
)


@click.command()
@files_argument
@output_options
@click.option("--to", "form", type=click.Choice(_FORMATS), default="messages", show_default=True)
@click.option("--skip", is_flag=True, help="Leave out rows that cannot be converted.")
@click.option("--only", "bare", is_flag=True, help="Leave out keys that are not the format's.")
def convert(
    files: tuple[Path, ...],
    output: Path | None,
    force: bool,
    form: str,
    skip: bool,
    bare: bool,
    encoding: str,
) -> None:
    """Write the rows of FILES in one format.

    Nothing is lost silently: a row that the format has no room for stops the conversion, or is
    left out and counted with --skip. Other keys of a row are kept.
    """
    from oss.contracts.errors import UsageError
    from oss.data.converting import KEYS, CannotError, to_record
    from oss.data.rows import Fault

    own = frozenset[str]().union(*KEYS.values())
    written = left_out = 0
    with output_to(output, files, force=force) as writer:
        for item in items_of(files, encoding):
            try:
                if isinstance(item.row, Fault):
                    raise CannotError(item.row.message)
                record = to_record(item.row, form)
            except CannotError as error:
                if not skip:
                    raise UsageError(
                        f"{item.origin}: {error}", hint="--skip leaves such rows out"
                    ) from None
                left_out += 1
                continue
            if not bare and item.record is not None and item.row.kind != "prompt":
                record |= {k: v for k, v in item.record.items() if k not in own}
            writer.write(record)
            written += 1
    said(output, f"{count(written)} as {form}" + (f", {left_out:,} left out" * bool(left_out)))


@click.command()
@files_argument
@output_options
@click.option("--exact", is_flag=True, help="Only what is the same but for case and space.")
@click.option(
    "--threshold",
    type=click.FloatRange(0.3, 1),
    default=0.8,
    show_default=True,
    help="How similar rows must be, 0 to 1.",
)
@click.option(
    "--by",
    type=click.Choice(["row", "question", "answer"]),
    default="row",
    show_default=True,
    help="What is compared.",
)
@click.option("--show", "listed", is_flag=True, help="Say on stderr which rows go, and why.")
def dedupe(
    files: tuple[Path, ...],
    output: Path | None,
    force: bool,
    exact: bool,
    threshold: float,
    by: str,
    listed: bool,
    encoding: str,
) -> None:
    """Write the rows of FILES without those that repeat an earlier one.

    Broken rows are left out too.
    """
    from oss.data.near import ExactIndex, NearIndex
    from oss.data.rows import Fault
    from oss.data.views import answer, question, whole

    texts = {"row": whole, "question": question, "answer": answer}
    same, near = ExactIndex(), None if exact else NearIndex(threshold)
    origins: list[str] = []
    written = broken = repeated = alike = 0
    with output_to(output, files, force=force) as writer:
        for item in items_of(files, encoding):
            if isinstance(item.row, Fault):
                broken += 1
                continue
            text = _compared(item.row, texts[by](item.row))
            before = same.find(text)
            if before is not None:
                repeated += 1
                if listed:
                    click.echo(f"{item.origin}: the same as {origins[before]}", err=True)
                continue
            if near is not None:
                signature = near.signature(text)
                found = near.find(signature)
                if found:
                    alike += 1
                    if listed:
                        like = f"{found[1]:.0%} like {origins[found[0]]}"
                        click.echo(f"{item.origin}: {like}", err=True)
                    continue
                near.add(signature, len(origins))
            same.add(text, len(origins))
            origins.append(str(item.origin))
            writer.write(item.record or {}, item.raw)
            written += 1
    gone = f"{repeated:,} repeated, {alike:,} nearly" + f", {broken:,} broken" * bool(broken)
    said(output, f"{count(written)} kept ({gone})")


def _compared(row: Row, text: str) -> str:
    """Rows of different kinds, or rated differently, say different things."""
    if row.kind == "rated":
        return f"{row.good} {text}"
    return text
