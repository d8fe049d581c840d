"""``oss docs add``: index files, folders, patterns, a list of paths, or a text from stdin."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from oss.cli.docs_store import collections, open_place, store_options

if TYPE_CHECKING:
    from oss.retrieval.indexing.roots import Root, Rules


@click.command()
@click.argument("paths", nargs=-1)
@click.option("--to", "name", required=True, shell_complete=collections, help="The collection.")
@click.option(
    "--from-list",
    type=click.File("rb"),
    help="A file with further paths, one a line or parted by NUL; '-' is stdin.",
)
@click.option("--name", "title", help="What to call a text from stdin; 'stdin' if left out.")
@click.option("--embedder", help="For a new collection; chosen by language if left out.")
@click.option(
    "--embedder-option",
    "options",
    multiple=True,
    help="Of that embedder: model=NAME. 'oss plugins show' lists them.",
)
@click.option("--words", type=click.IntRange(20, 2000), help="Words per chunk of a new collection.")
@click.option("--exclude", multiple=True, help="Leave out what this matches, as .gitignore does.")
@click.option("--no-gitignore", is_flag=True, help="Take what .gitignore leaves out.")
@click.option("--hidden", is_flag=True, help="Take names that begin with a dot.")
@click.option("--follow", is_flag=True, help="Follow links to files and folders.")
@click.option(
    "--max-size", type=click.FloatRange(min=0, min_open=True), default=100, show_default=True,
    help="Skip larger files, in MB.",
)  # fmt: skip
@click.option("--loader", multiple=True, help="Read a suffix with a loader: .log=text.")
@click.option("--strict", is_flag=True, help="Exit with 1 when files were skipped.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@store_options
def add(
    paths: tuple[str, ...],
    name: str,
    from_list: BinaryIO | None,
    title: str | None,
    embedder: str | None,
    options: tuple[str, ...],
    words: int | None,
    exclude: tuple[str, ...],
    no_gitignore: bool,
    hidden: bool,
    follow: bool,
    max_size: float,
    loader: tuple[str, ...],
    strict: bool,
    as_json: bool,
    profile: str | None,
    store: str | None,
    url: str | None,
) -> int:
    """Add files and folders to a collection, which is made if it is not there.

    PATHS are files, folders, patterns in quotes ('docs/**/*.md'), or '-' for a text on stdin.
    They are remembered: 'oss docs sync' brings the collection up to date with them. Unchanged
    files cost nothing, and text that is known is not embedded again.
    """
    from oss.cli.docs_indexing import Task
    from oss.cli.docs_report import finish
    from oss.contracts.errors import UsageError
    from oss.retrieval.indexing.roots import Rules, parse_root

    rules = Rules(
        exclude=exclude,
        gitignore=not no_gitignore,
        hidden=hidden,
        follow=follow,
        largest=int(max_size * 2**20),
        loaders=_loaders(loader),
    )
    roots = [parse_root(path, rules) for path in paths if path != "-"]
    if from_list:
        roots += _listed(from_list.read(), rules)
    if not roots and "-" not in paths:
        raise UsageError("name at least one file or folder", hint="oss docs add PATH --to NAME")
    text = sys.stdin.buffer.read() if "-" in paths else None
    place = open_place(profile, store, url)
    task = Task(place.store, place.plugins, name)
    report = task.add(
        roots,
        embedder=embedder,
        options=_options(options, embedder),
        words=words,
        text=text,
        title=title or "stdin",
    )
    return finish([report], as_json=as_json, strict=strict)


def _options(given: tuple[str, ...], embedder: str | None) -> dict[str, Any]:
    from oss.contracts.errors import UsageError
    from oss.plugins.options import parse_options

    if given and not embedder:
        raise UsageError("--embedder-option needs --embedder", hint="oss plugins show embedders")
    return parse_options(given, "--embedder-option")


def _loaders(given: tuple[str, ...]) -> dict[str, str]:
    """``.log=text`` as a table."""
    from oss.contracts.errors import UsageError

    table = {}
    for pair in given:
        suffix, equals, name = pair.partition("=")
        if not (suffix.startswith(".") and equals and name):
            raise UsageError(f"--loader '{pair}' is not of the form .SUFFIX=LOADER")
        table[suffix.lower()] = name
    return table


def _listed(data: bytes, rules: Rules) -> list[Root]:
    """The paths of a list; those that are not there are told at the end, with the other files
    that could not be read.
    """
    import os

    from oss.retrieval.indexing.roots import Root

    lines = data.split(b"\0") if b"\0" in data else data.splitlines()
    paths = (os.fsdecode(line.strip(b"\r")) for line in lines if line.strip())
    return [Root(os.path.abspath(os.path.expanduser(path)), "", rules) for path in paths]  # noqa: PTH100, PTH111
