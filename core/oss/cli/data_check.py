"""``oss data check``: what is wrong with a set of examples, with its lines."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oss.cli.complete import models as complete_models
from oss.cli.complete import profiles as complete_profiles
from oss.cli.counting import count
from oss.cli.data_files import encoding_option, items_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.cli.data_tokens import TokenCounter
    from oss.data.checker import Checker
    from oss.data.reading import Item
    from oss.data.rows import Fault

_SHOWN = 10


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--held-out",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Rows to judge by, which FILES must not repeat; may be repeated.",
)
@click.option(
    "-p",
    "--profile",
    metavar="NAME",
    shell_complete=complete_profiles,
    help="Count tokens with its model; without FILES, check what it trains on.",
)
@click.option(
    "-m", "--model", metavar="NAME", shell_complete=complete_models, help="Count with this model."
)
@click.option("--context", type=click.IntRange(min=1), help="Tokens of the longest row that fits.")
@click.option("--exact", is_flag=True, help="Look for exact duplicates alone.")
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too, not for errors alone.")
@click.option("--all", "everything", is_flag=True, help=f"Every line, not {_SHOWN} of each kind.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@encoding_option
def check(
    files: tuple[Path, ...],
    held_out: tuple[Path, ...],
    profile: str | None,
    model: str | None,
    context: int | None,
    exact: bool,
    strict: bool,
    everything: bool,
    as_json: bool,
    encoding: str,
) -> int:
    """Say what is wrong with FILES: broken rows, roles out of order, empty answers, rows too long
    for the model, duplicates and near-duplicates, rows of the held-out part, secrets and personal
    data, unusual languages and lengths.

    Exit code 1 means errors: rows that cannot be used, or that must not be.
    """
    import asyncio

    from oss.contracts.errors import UsageError
    from oss.data.checker import Checker
    from oss.data.languages import has_library as tells_languages
    from oss.data.near import has_library

    if profile and not files:
        files, held_out = _of_profile(profile)
    if not files:
        raise UsageError("which files?", hint="oss data check FILE, or -p PROFILE")
    notes = []
    if not exact and not has_library():
        notes.append(
            "near-duplicates were not looked for: pip install 'oss-workbench[data]', or --exact"
        )
    if not tells_languages():
        notes.append("languages were not told, scripts alone: pip install 'oss-workbench[data]'")
    checker = Checker(near=has_library() and not exact)
    for item in items_of(held_out, encoding):
        checker.hold_out(item)
    faults: list[Fault] = []
    asyncio.run(_feed(checker, faults, notes, files, encoding, (profile, model, context)))
    faults += checker.finish()
    if as_json:
        _print_json(checker, files, faults, notes)
    else:
        _print(checker, files, faults, notes, _SHOWN if not everything else len(faults))
    return int(any(fault.fatal or strict for fault in faults) or not checker.usable)


def _of_profile(name: str) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    from oss.plugins.manager import load_plugins
    from oss.profile import resolve_profile

    table = resolve_profile(name, plugins=load_plugins()).profile.train
    return tuple(map(Path, table.data)), tuple(map(Path, table.held_out))


async def _feed(
    checker: Checker,
    faults: list[Fault],
    notes: list[str],
    files: Sequence[Path],
    encoding: str,
    measure: tuple[str | None, str | None, int | None],
) -> None:
    """Check every row, and count the tokens of those that may be too long."""
    profile, model, context = measure
    if profile is None and model is None:
        if context is None:
            notes.append("lengths were not held against a context: -p PROFILE, -m MODEL")
        else:
            notes.append("tokens are estimated, without a model: -m MODEL counts")
        for item in items_of(files, encoding):
            faults += checker.feed(item)
            if context is not None:
                faults += _estimated(item, context)
        return
    from oss.cli.data_tokens import token_counter

    async with token_counter(profile, model, context) as counter:
        for item in items_of(files, encoding):
            found = checker.feed(item)
            faults += found
            if not any(fault.fatal for fault in found):
                faults += await _counted(item, counter)


def _estimated(item: Item, limit: int) -> list[Fault]:
    from oss.data.rows import Fault
    from oss.data.views import messages_of, tokens_about, whole

    row = item.row
    if isinstance(row, Fault) or row.kind == "text":
        return []
    tokens = tokens_about(whole(row), len(messages_of(row)))
    if tokens <= limit:
        return []
    return [Fault(item.origin, "too-long", f"has about {tokens} tokens of {limit} that fit")]


async def _counted(item: Item, counter: TokenCounter) -> list[Fault]:
    from oss.contracts.errors import BackendError
    from oss.data.rows import Fault
    from oss.data.views import messages_of, tokens_at_most, whole

    row = item.row
    if isinstance(row, Fault) or row.kind == "text":  # plain text is cut into pieces that fit
        return []
    messages = messages_of(row)
    unseen = "".join(m.reasoning + "".join(c.arguments for c in m.tool_calls) for m in messages)
    tools = row.kind == "chat" and row.tools
    if not tools and tokens_at_most(whole(row) + unseen, len(messages)) <= counter.limit:
        return []  # it fits, whatever the tokenizer
    try:
        tokens = await counter.count(row)
    except BackendError as error:  # some templates take no system text, or no tools
        return [Fault(item.origin, "template", f"the model's template: {error.message}")]
    if tokens <= counter.limit:
        return []
    return [Fault(item.origin, "too-long", f"has {tokens} tokens of {counter.limit} that fit")]


def _print(
    checker: Checker, files: Sequence[Path], faults: list[Fault], notes: list[str], shown: int
) -> None:
    from oss.cli.tables import print_table
    from oss.data.checking import CODES
    from oss.turn.untrusted import printable

    totals = Counter(fault.code for fault in faults)
    told: Counter[str] = Counter()
    for fault in sorted(faults, key=lambda f: (f.origin.file, f.origin.line)):
        told[fault.code] += 1
        if told[fault.code] <= shown:
            colour = "red" if fault.fatal else "yellow"
            code = click.style(fault.code, fg=colour)
            click.echo(f"{fault.origin}: {code}: {printable(fault.message)}")
    if faults:
        click.echo()
        grave = {fault.code for fault in faults if fault.fatal}
        print_table(
            ("code", "rows", "", "what"),
            [
                (code, f"{totals[code]:,}", "error" if code in grave else "warning", what)
                for code, what in CODES.items()
                if totals[code]
            ],
        )
        click.echo()
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in checker.kinds.most_common())
    names = ", ".join(map(str, files))
    click.echo(f"{names}: {count(checker.rows)}, {checker.usable:,} without errors ({kinds})")
    if any(number > shown for number in told.values()):
        click.echo(f"{shown} of each kind are shown; --all shows every one", err=True)
    for note in notes:
        click.echo(note, err=True)


def _print_json(
    checker: Checker, files: Sequence[Path], faults: list[Fault], notes: list[str]
) -> None:
    counts = Counter(fault.code for fault in faults)
    whole: dict[str, Any] = {
        "files": [str(file) for file in files],
        "rows": checker.rows,
        "without_errors": checker.usable,
        "kinds": dict(checker.kinds),
        "counts": dict(counts),
        "faults": [fault_json(fault) for fault in faults],
        "notes": notes,
    }
    click.echo(json.dumps(whole, ensure_ascii=False, indent=2))


def fault_json(fault: Fault) -> dict[str, Any]:
    """A fault as JSON."""
    return {
        "file": fault.origin.file,
        fault.origin.unit: fault.origin.line,
        "code": fault.code,
        "error": fault.fatal,
        "message": fault.message,
    }
