"""What the commands of ``oss data`` share: files in, files out, where one is."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from oss.data.reading import Item
    from oss.data.rows import Fault
    from oss.data.writing import RowWriter

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")
Each = TypeVar("Each")

_EVERY = 1000


def files_argument(command: Decorated) -> Decorated:
    """The argument FILES and the option ``--encoding``."""
    command = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))(
        command
    )
    return encoding_option(command)


def encoding_option(command: Decorated) -> Decorated:
    """The option ``--encoding``."""
    return click.option(
        "--encoding",
        default="utf-8",
        metavar="NAME",
        help="Of JSONL, JSON, CSV and text files, if not UTF-8: cp1251, utf-16, ...",
    )(command)


def output_options(command: Decorated) -> Decorated:
    """The options ``--output`` and ``--force``."""
    command = click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        help="A new .jsonl, .json, .csv or .parquet file; JSON lines on stdout if left out.",
    )(command)
    return force_option(command)


def force_option(command: Decorated) -> Decorated:
    """The option ``--force``."""
    return click.option("--force", is_flag=True, help="Replace the output if it is there.")(command)


def items_of(files: Sequence[Path], encoding: str) -> Iterator[Item]:
    """The rows of all files; on a terminal their number is shown while it grows."""
    from oss.data.reading import read_items

    return counted(item for file in files for item in read_items(file, encoding))


def counted(things: Iterable[Each]) -> Iterator[Each]:
    """The same, with a count on the terminal."""
    if not sys.stderr.isatty():
        yield from things
        return
    shown = False
    try:
        for number, thing in enumerate(things, 1):
            yield thing
            if number % _EVERY == 0:
                shown = True
                sys.stderr.write(f"\r{number:,} rows")
                sys.stderr.flush()
    finally:
        if shown:
            sys.stderr.write("\r\x1b[K")


def faults_of(files: Sequence[Path], encoding: str) -> dict[tuple[str, int], list[Fault]]:
    """Every fault of a set, by file and line."""
    from oss.data.checker import Checker
    from oss.data.near import has_library

    checker = Checker(near=has_library())
    found: dict[tuple[str, int], list[Fault]] = {}
    for item in items_of(files, encoding):
        for fault in checker.feed(item):
            found.setdefault((fault.origin.file, fault.origin.line), []).append(fault)
    for fault in checker.finish():
        found.setdefault((fault.origin.file, fault.origin.line), []).append(fault)
    return found


@contextmanager
def output_to(path: Path | None, inputs: Sequence[Path], *, force: bool) -> Iterator[RowWriter]:
    """A new file, or JSON lines on stdout."""
    from oss.data.writing import make_writer, new_file

    if path is not None:
        with new_file(path, inputs, force=force) as writer:
            yield writer
        return
    writer = make_writer(sys.stdout.buffer, ".jsonl")
    yield writer
    writer.finish()
    sys.stdout.buffer.flush()


def said(path: Path | None, line: str) -> None:
    """One line on stderr on what was written, and where."""
    click.echo(f"{line}: {path}" if path else line, err=True)
