"""The `/` commands of a talk, the same at a terminal and on the screen."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oss.contracts.errors import StorageError, UsageError

if TYPE_CHECKING:
    from oss.turn.talk import Talk


@dataclass(frozen=True)
class Reply:
    """What a command gives.

    :param text: what was asked to be shown.
    :param note: what it did, in one line.
    :param prompt: to be answered now.
    :param leave: the talk is over.
    """

    text: str = ""
    note: str = ""
    prompt: str | None = None
    leave: bool = False


Action = Callable[["Talk", str], Awaitable[Reply]]


@dataclass(frozen=True)
class Command:
    """A command's one-line summary, and what it does with the rest of its line."""

    summary: str
    action: Action


async def run_command(talk: Talk, line: str) -> Reply:
    """Run ``/name rest``.

    :raises UsageError: unknown, or called wrongly.
    :raises OssError: it failed; everything is as before.
    """
    name, _, rest = line.strip()[1:].partition(" ")
    command = COMMANDS.get(name)
    if command is None:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean /{near[0]}?" if near else "/help shows the commands"
        raise UsageError(f"there is no command /{name}", hint=hint)
    return await command.action(talk, rest.strip())


async def _help(talk: Talk, rest: str) -> Reply:  # noqa: ARG001
    width = max(map(len, COMMANDS)) + 3
    lines = [f"{'/' + name:{width}}{command.summary}" for name, command in COMMANDS.items()]
    return Reply(text="\n".join(lines))


async def _exit(talk: Talk, rest: str) -> Reply:  # noqa: ARG001
    return Reply(leave=True)


async def _clear(talk: Talk, rest: str) -> Reply:  # noqa: ARG001
    talk.chat.clear()
    talk.attached.clear()
    return Reply(note="a new conversation begins")


async def _profile(talk: Talk, rest: str) -> Reply:
    await talk.begin(talk.choices.with_profile(_needed(rest, "a profile")))
    return Reply(note=choice_line(talk))


async def _persona(talk: Talk, rest: str) -> Reply:
    await talk.begin(talk.choices.with_persona(_needed(rest, "a persona")))
    return Reply(note=choice_line(talk))


async def _system(talk: Talk, rest: str) -> Reply:
    if not rest:
        opening = talk.made.opening
        return Reply(text=opening[0].content if opening else "(no system text)")
    await talk.begin(talk.choices.with_system(rest))
    return Reply(note=choice_line(talk))


async def _model(talk: Talk, rest: str) -> Reply:
    await talk.begin(talk.choices.with_model(_needed(rest, "a model")))
    return Reply(note=choice_line(talk))


async def _adapter(talk: Talk, rest: str) -> Reply:
    given = _needed(rest, "an adapter, or 'none'")
    await talk.begin(talk.choices.with_adapter(None if given == "none" else given))
    return Reply(note=choice_line(talk))


async def _set(talk: Talk, rest: str) -> Reply:
    await talk.begin(talk.choices.with_set(_needed(rest, "table.key=value")))
    return Reply(note=choice_line(talk))


async def _retry(talk: Talk, rest: str) -> Reply:  # noqa: ARG001
    prompt = talk.chat.undo()
    if prompt is None:
        raise UsageError("there is nothing to answer again")
    return Reply(prompt=prompt)


async def _undo(talk: Talk, rest: str) -> Reply:  # noqa: ARG001
    prompt = talk.chat.undo()
    return Reply(note="nothing to take back" if prompt is None else "the last exchange is gone")


async def _file(talk: Talk, rest: str) -> Reply:
    from oss.turn.attachments import read_files

    try:
        paths = shlex.split(_needed(rest, "a file"))
    except ValueError as error:
        raise UsageError(f"/file: {error}") from error
    talk.attached += read_files(paths)
    names = ", ".join(attachment.name for attachment in talk.attached)
    return Reply(note=f"with the next prompt: {names}")


async def _save(talk: Talk, rest: str) -> Reply:
    from oss.store.export import messages_markdown

    name = _needed(rest, "a file")
    _write_new(name, messages_markdown(talk.history))
    return Reply(note=f"written: {name}")


def choice_line(talk: Talk) -> str:
    """Which model was taken, and why."""
    made = talk.made
    passed = f" ({made.choice.passed_over})" if made.choice.passed_over else ""
    persona = f" as {made.persona}" if made.persona else ""
    return (
        f"{made.choice.model.name}{persona} on {made.backend_name}, profile {made.resolved.name}: "
        f"{made.choice.reason}{passed}"
    )


def _write_new(name: str, text: str) -> None:
    try:
        with Path(name).expanduser().open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"{name} exists", hint="choose another name") from error
    except OSError as error:
        raise StorageError(f"cannot write {name}: {error.strerror or error}") from error


def _needed(rest: str, what: str) -> str:
    if not rest:
        raise UsageError(f"the command needs {what}", hint="/help shows the commands")
    return rest


COMMANDS: dict[str, Command] = {
    "help": Command("show these commands", _help),
    "file": Command("FILE...: give the model text files with the next prompt", _file),
    "retry": Command("answer the last prompt again", _retry),
    "undo": Command("take back the last prompt and its answer", _undo),
    "clear": Command("begin a new conversation", _clear),
    "profile": Command("NAME: go on with another profile", _profile),
    "persona": Command("NAME: go on with another persona", _persona),
    "model": Command("NAME: go on with another model", _model),
    "adapter": Command("NAME[:SCALE]: go on with this adapter; none is without", _adapter),
    "system": Command("[TEXT]: show the system text, or go on with this one", _system),
    "set": Command("KEY=VALUE: change a value of the profile", _set),
    "save": Command("FILE: write the conversation as Markdown", _save),
    "exit": Command("leave (Ctrl-D)", _exit),
}
