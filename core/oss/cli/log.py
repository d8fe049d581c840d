"""``oss log``: read, search, export and delete past conversations."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from oss.cli.counting import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.store import Conversation, Hit, Store, Turn

FORMATS = ("markdown", "json", "jsonl")


@click.group()
def log() -> None:
    """Read, search and export past conversations."""


@log.command("list")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--all", "everything", is_flag=True, help="Without a limit.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(limit: int, *, everything: bool, as_json: bool) -> None:
    """List conversations, the last used first."""
    from oss.store import Store
    from oss.store.export import conversation_facts

    with Store() as store:
        found = store.conversations(-1 if everything else limit)
    if as_json:
        _print_json([conversation_facts(conversation) for conversation in found])
        return
    if not found:
        click.echo("there are no conversations yet: oss run", err=True)
        return
    from oss.cli.tables import print_table

    print_table(
        ("id", "last used", "turns", "profile", "title"),
        [
            (str(c.id), _local_time(c.updated), str(c.turns), c.profile, _plain(c.title))
            for c in found
        ],
    )


@log.command()
@click.argument("conversation", type=int, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(conversation: int | None, *, as_json: bool) -> None:
    """Show CONVERSATION (an id), or the last one."""
    from oss.store import Store
    from oss.store.export import conversation_json

    with Store() as store:
        found = store.conversation(conversation) if conversation else _last(store)
        turns = store.turns(found.id)
    if as_json:
        _print_json(conversation_json(found, turns))
        return
    click.echo(_page(found, turns))


@log.command()
@click.argument("words", nargs=-1, required=True)
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def search(words: tuple[str, ...], limit: int, *, as_json: bool) -> None:
    """Find conversations in which every one of WORDS begins a word."""
    from oss.store import Store
    from oss.store.export import timestamp

    with Store() as store:
        hits = store.search(" ".join(words), limit)
    if as_json:
        rows = [
            {
                "conversation": hit.conversation_id,
                "turn": hit.turn_id,
                "title": hit.title,
                "updated": timestamp(hit.updated),
                "excerpt": hit.excerpt.replace("\x02", "").replace("\x03", ""),
            }
            for hit in hits
        ]
        _print_json(rows)
        return
    if not hits:
        click.echo("nothing found", err=True)
        return
    for hit in hits:
        click.echo(f"{hit.conversation_id:>6}  {_plain(hit.title)}\n        {_excerpt(hit)}")


@log.command()
@click.argument("conversations", nargs=-1, type=int)
@click.option("--all", "everything", is_flag=True, help="Every conversation.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="markdown",
    show_default=True,
    help="jsonl: a line of OpenAI messages each, to train on.",
)
@click.option("-o", "--output", type=click.Path(), help="A file in place of stdout.")
def export(
    conversations: tuple[int, ...], *, everything: bool, form: str, output: str | None
) -> None:
    """Write CONVERSATIONS (ids; the last one if left out) as a file."""
    from oss.store import Store

    with Store() as store:
        if everything:
            found = store.conversations()
        elif conversations:
            found = [store.conversation(number) for number in conversations]
        else:
            found = [_last(store)]
        text = _exported([(c, store.turns(c.id)) for c in found], form)
    if output is None:
        sys.stdout.write(text)
    else:
        _write(output, text)


@log.command()
@click.argument("conversations", nargs=-1, type=int)
@click.option("--all", "everything", is_flag=True, help="Every conversation.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def rm(conversations: tuple[int, ...], *, everything: bool, yes: bool) -> None:
    """Delete CONVERSATIONS (ids) for good."""
    from oss.contracts.errors import RefusedError, UsageError
    from oss.store import Store

    if bool(conversations) == everything:
        raise UsageError("which conversations?", hint="oss log rm ID..., or oss log rm --all")
    with Store() as store:
        found = (
            store.conversations()
            if everything
            else [store.conversation(number) for number in dict.fromkeys(conversations)]
        )
        if found and not yes:
            if not sys.stdin.isatty():
                raise RefusedError(
                    "deleting needs a yes, and there is no terminal to ask at", hint="oss log rm -y"
                )
            for conversation in found:
                click.echo(f"{conversation.id:>6}  {_plain(conversation.title)}", err=True)
            if not click.confirm(f"delete {count(len(found), 'conversation')}?", err=True):
                return
        for conversation in found:
            store.delete(conversation.id)
    click.echo(f"deleted {count(len(found), 'conversation')}", err=True)


def _last(store: Store) -> Conversation:
    from oss.contracts.errors import UsageError

    last = store.last()
    if last is None:
        raise UsageError("there are no conversations yet", hint='oss run "hello"')
    return last


def _page(conversation: Conversation, turns: Sequence[Turn]) -> str:
    from oss.cli.sources import sources_lines
    from oss.turn.citations import cited_by

    bold = {"bold": True}
    lines = [
        click.style(_plain(conversation.title), **bold),
        click.style(f"conversation {conversation.id}, {count(len(turns), 'turn')}", dim=True),
    ]
    for turn in turns:
        how = f"turn {turn.id}, {_local_time(turn.created)}, {turn.setup.profile}"
        how += f", {turn.setup.model}, {turn.setup.backend}"
        if turn.state != "done":
            state = "unfinished" if turn.state == "running" else turn.state
            how += f", {state}" + (f": {turn.error}" if turn.error else "")
        lines += ["", click.style(how, dim=True)]
        for message in turn.messages:
            text = message.content
            for call in message.tool_calls:
                text += f"\n[calls {call.name} {call.arguments}]"
            lines += ["", click.style(f"{message.role}:", **bold), _plain(text.strip())]
        if cited := cited_by(turn):
            lines += ["", *sources_lines(cited, sys.stdout)]
    return "\n".join(lines)


def _exported(found: Sequence[tuple[Conversation, Sequence[Turn]]], form: str) -> str:
    from oss.store.export import conversation_json, conversation_markdown, training_line

    if form == "jsonl":
        lines = [training_line(turns) for _, turns in found]
        return "".join(f"{line}\n" for line in lines if line)
    if form == "json":
        whole = [conversation_json(conversation, turns) for conversation, turns in found]
        return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"
    return "\n".join(conversation_markdown(conversation, turns) for conversation, turns in found)


def _write(output: str, text: str) -> None:
    from pathlib import Path

    from oss.contracts.errors import StorageError

    try:
        Path(output).expanduser().write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {output}: {error.strerror or error}") from error


def _excerpt(hit: Hit) -> str:
    text = _plain(" ".join(hit.excerpt.replace("\x02", "\ue000").replace("\x03", "\ue001").split()))
    parts = text.replace("\ue001", "\ue000").split("\ue000")
    return "".join(
        click.style(part, bold=True) if index % 2 else part for index, part in enumerate(parts)
    )


def _plain(text: str) -> str:
    from oss.turn.untrusted import printable

    return printable(text)


def _local_time(seconds: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
