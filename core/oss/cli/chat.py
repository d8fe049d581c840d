"""The chat of `oss run`: reads lines at a terminal until the end."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oss.cli.answer import PlainWriter, Writer, show_answer, stats_line
from oss.cli.aside import Aside, colours
from oss.cli.consent import Asking
from oss.cli.counting import count
from oss.cli.interrupt import Interrupted, interruptible
from oss.cli.run_task import RunOptions, open_talk
from oss.contracts.errors import ConfigError, OssError
from oss.paths import data_dir
from oss.turn.commands import COMMANDS, Reply, run_command

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

    from oss.turn.talk import Talk


class Leave(Exception):  # noqa: N818  not an error: someone wanted it
    """Ends the chat."""

    def __init__(self, exit_code: int = 0) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


@dataclass
class ChatScreen:
    """One talk at one terminal."""

    options: RunOptions
    aside: Aside
    talk: Talk
    consent: Asking = field(init=False)

    def __post_init__(self) -> None:
        self.consent = Asking(self.aside)

    async def say(self, prompt: str) -> None:
        """Show the answer to a prompt; Ctrl-C stops it, and what came is kept."""
        attached = self.talk.take_attached()
        chat, made = self.talk.chat, self.talk.made
        writer: Writer = PlainWriter()
        if colours(sys.stdout):
            from oss.cli.markdown import MarkdownWriter

            writer = MarkdownWriter()
        answering = show_answer(
            chat.say(prompt, attachments=attached, consent=self.consent),
            writer,
            self.aside,
            reasoning=self.options.show_reasoning or made.profile.reasoning.show,
            label=f"waiting for {made.choice.model.name}",
        )
        try:
            record = await interruptible(answering)
        except Interrupted as interrupted:
            if interrupted.exit_code != 130:
                raise Leave(interrupted.exit_code) from None
            self.aside.note("stopped; what came is kept")
            return
        done = record.done
        if done is not None and done.finish_reason == "length":
            self.aside.note("the answer was cut: it reached its longest length")
        if done is not None and self.options.stats:
            self.aside.note(stats_line(done))


async def chat(options: RunOptions, aside: Aside) -> int:
    """Chat until Ctrl-D or /exit; returns the exit code."""
    for flag, given in {
        "--json": options.as_json,
        "--schema": options.schema,
        "--dry-run": options.dry_run,
    }.items():
        if given:
            raise ConfigError(f"{flag} needs a prompt", hint=f'oss run {flag} "your question"')
    async with open_talk(options, aside) as talk:
        screen = ChatScreen(options, aside, talk)
        talk.chat.session.load()
        prompts = _prompt_session()
        aside.note("/help shows the commands; Alt-Enter begins a new line; Ctrl-D leaves")
        try:
            while True:
                try:
                    line = await prompts.prompt_async(_prompt_text(talk))
                except KeyboardInterrupt:
                    continue  # Ctrl-C empties the line
                except EOFError:
                    return 0
                await _handle(screen, line)
        except Leave as leave:
            return leave.exit_code


async def _handle(screen: ChatScreen, line: str) -> None:
    """Errors of one line are told, and the chat goes on."""
    if not line.strip():
        return
    try:
        if line.lstrip().startswith("/"):
            reply = await run_command(screen.talk, line)
            screen.talk.chat.session.load()
            _show_reply(screen, reply)
            if reply.prompt is None:
                return
            line = reply.prompt
        await screen.say(line)
    except OssError as error:
        sys.stderr.write(f"error: {error.message}\n")
        if error.hint:
            sys.stderr.write(f"hint: {error.hint}\n")


def _show_reply(screen: ChatScreen, reply: Reply) -> None:
    if reply.leave:
        raise Leave
    if reply.text:
        sys.stdout.write(reply.text + "\n")
    if reply.note:
        screen.aside.note(reply.note)


def _prompt_text(talk: Talk) -> str:
    files = f" +{count(len(talk.attached), 'file')}" if talk.attached else ""
    return f"{talk.made.resolved.name}{files}> "


def _prompt_session() -> PromptSession[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.history import FileHistory, History, InMemoryHistory
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("escape", "enter")
    @keys.add("c-j")
    def _(event: object) -> None:
        event.current_buffer.insert_text("\n")  # type: ignore[attr-defined]

    @keys.add("enter")
    def _(event: object) -> None:
        event.current_buffer.validate_and_handle()  # type: ignore[attr-defined]

    history: History
    try:
        data_dir().mkdir(parents=True, exist_ok=True)
        path = data_dir() / "chat_history"
        path.touch(mode=0o600)
        history = FileHistory(path)
    except OSError:  # nothing can be written here; the chat works all the same
        history = InMemoryHistory()
    return PromptSession(
        history=history,
        multiline=True,
        key_bindings=keys,
        completer=WordCompleter(
            [f"/{name}" for name in COMMANDS], sentence=True, meta_dict=_summaries()
        ),
        complete_while_typing=False,
        prompt_continuation="",
    )


def _summaries() -> dict[str, str]:
    return {f"/{name}": command.summary for name, command in COMMANDS.items()}
