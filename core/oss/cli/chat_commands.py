"""The `/` commands of the chat."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oss.contracts.errors import StorageError, UsageError

if TYPE_CHECKING:
    from oss.cli.chat import ChatScreen

Action = Callable[["ChatScreen", str], Awaitable[str | None]]


@dataclass(frozen=True)
class Command:
    """What a command does; its action may return a prompt to answer."""

    summary: str
    action: Action


class Leave(Exception):  # noqa: N818  not an error: someone wanted it
    """Ends the chat."""

    def __init__(self, exit_code: int = 0) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


async def run_command(screen: ChatScreen, line: str) -> str | None:
    """Run ``/name rest``; returns a prompt to answer, if the command gives one.

    :raises UsageError: unknown, or called wrongly.
    :raises OssError: it failed.
    """
    import difflib

    name, _, rest = line[1:].partition(" ")
    command = COMMANDS.get(name)
    if command is None:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean /{near[0]}?" if near else "/help shows the commands"
        raise UsageError(f"there is no command /{name}", hint=hint)
    return await command.action(screen, rest.strip())


async def _help(screen: ChatScreen, rest: str) -> None:  # noqa: ARG001
    width = max(map(len, COMMANDS)) + 3
    for name, command in COMMANDS.items():
        sys.stdout.write(f"{'/' + name:{width}}{command.summary}\n")


async def _exit(screen: ChatScreen, rest: str) -> None:  # noqa: ARG001
    raise Leave


async def _clear(screen: ChatScreen, rest: str) -> None:  # noqa: ARG001
    screen.chat.clear()
    screen.attached.clear()
    screen.aside.note("a new conversation begins")


async def _profile(screen: ChatScreen, rest: str) -> None:
    # Another profile comes with its own persona and model.
    await screen.change(
        replace(screen.options, profile=_needed(rest, "a profile"), persona=None, model=None)
    )


async def _persona(screen: ChatScreen, rest: str) -> None:
    sets = _without(screen.options.sets, "persona.system")
    await screen.change(replace(screen.options, persona=_needed(rest, "a persona"), sets=sets))


async def _system(screen: ChatScreen, rest: str) -> None:
    import json

    if not rest:
        opening = screen.chat.session.ingredients.opening
        sys.stdout.write((opening[0].content if opening else "(no system text)") + "\n")
        return
    sets = _without(screen.options.sets, "persona.system")
    text = json.dumps(rest, ensure_ascii=False)
    await screen.change(
        replace(screen.options, persona=None, sets=(*sets, f"persona.system={text}"))
    )


async def _model(screen: ChatScreen, rest: str) -> None:
    await screen.change(replace(screen.options, model=_needed(rest, "a model")))


async def _set(screen: ChatScreen, rest: str) -> None:
    given = _needed(rest, "table.key=value")
    sets = _without(screen.options.sets, given.partition("=")[0].strip())
    await screen.change(replace(screen.options, sets=(*sets, given)))


async def _retry(screen: ChatScreen, rest: str) -> str:  # noqa: ARG001
    prompt = screen.chat.undo()
    if prompt is None:
        raise UsageError("there is nothing to answer again")
    return prompt


async def _undo(screen: ChatScreen, rest: str) -> None:  # noqa: ARG001
    prompt = screen.chat.undo()
    screen.aside.note("nothing to take back" if prompt is None else "the last exchange is gone")


async def _file(screen: ChatScreen, rest: str) -> None:
    from oss.cli.run_input import read_files

    try:
        paths = shlex.split(_needed(rest, "a file"))
    except ValueError as error:
        raise UsageError(f"/file: {error}") from error
    screen.attached += read_files(paths)
    names = ", ".join(attachment.name for attachment in screen.attached)
    screen.aside.note(f"with the next prompt: {names}")


async def _save(screen: ChatScreen, rest: str) -> None:
    from oss.store.export import messages_markdown

    name = _needed(rest, "a file")
    _write_new(name, messages_markdown(screen.chat.history))
    screen.aside.note(f"written: {name}")


def _write_new(name: str, text: str) -> None:
    from pathlib import Path

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


def _without(sets: tuple[str, ...], key: str) -> tuple[str, ...]:
    return tuple(text for text in sets if text.partition("=")[0].strip() != key)


COMMANDS: dict[str, Command] = {
    "help": Command("show these commands", _help),
    "file": Command("FILE...: give the model text files with the next prompt", _file),
    "retry": Command("answer the last prompt again", _retry),
    "undo": Command("take back the last prompt and its answer", _undo),
    "clear": Command("begin a new conversation", _clear),
    "profile": Command("NAME: go on with another profile", _profile),
    "persona": Command("NAME: go on with another persona", _persona),
    "model": Command("NAME: go on with another model", _model),
    "system": Command("[TEXT]: show the system text, or go on with this one", _system),
    "set": Command("KEY=VALUE: change a value of the profile", _set),
    "save": Command("FILE: write the conversation as Markdown", _save),
    "exit": Command("leave (Ctrl-D)", _exit),
}
