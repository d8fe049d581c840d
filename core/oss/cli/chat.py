"""The chat of `oss run`: reads lines at a terminal until the end."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from oss.cli.answer import PlainWriter, Writer, show_answer, stats_line
from oss.cli.aside import Aside, colours
from oss.cli.chat_commands import COMMANDS, Leave, run_command
from oss.cli.consent import Asking
from oss.cli.interrupt import Interrupted, interruptible
from oss.cli.run_task import RunOptions, open_chat
from oss.contracts.errors import ConfigError, OssError
from oss.paths import data_dir

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

    from oss.turn.attachments import Attachment
    from oss.turn.chat import Chat


@dataclass
class ChatScreen:
    """One chat at one terminal.

    :ivar attached: files that go with the next prompt.
    """

    options: RunOptions
    aside: Aside
    stack: AsyncExitStack
    chat: Chat
    attached: list[Attachment] = field(default_factory=list)
    consent: Asking = field(init=False)

    def __post_init__(self) -> None:
        self.consent = Asking(self.aside)

    async def change(self, options: RunOptions) -> None:
        """Go on with another profile, persona or model; on an error everything stays.

        :raises OssError: the new settings are wrong.
        """
        going_on = replace(options, conversation=self.chat.conversation_id, go_on=False)
        stack = AsyncExitStack()
        try:
            chat = await stack.enter_async_context(open_chat(going_on, self.aside))
        except BaseException:
            await stack.aclose()
            raise
        if self.chat.conversation_id is None or not self.chat.keep:
            chat.take_over(self.chat)
        await self.stack.aclose()
        self.options, self.stack, self.chat = options, stack, chat
        chat.session.load()

    async def say(self, prompt: str) -> None:
        """Show the answer to a prompt; Ctrl-C stops it, and what came is kept."""
        attached, self.attached = self.attached, []
        chat = self.chat
        made = chat.session.ingredients
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
    stack = AsyncExitStack()
    opened = await stack.enter_async_context(open_chat(options, aside))
    screen = ChatScreen(options, aside, stack, opened)
    opened.session.load()
    prompts = _prompt_session()
    aside.note("/help shows the commands; Alt-Enter begins a new line; Ctrl-D leaves")
    try:
        while True:
            try:
                line = await prompts.prompt_async(_prompt_text(screen))
            except KeyboardInterrupt:
                continue  # Ctrl-C empties the line
            except EOFError:
                return 0
            await _handle(screen, line)
    except Leave as leave:
        return leave.exit_code
    finally:
        await screen.stack.aclose()


async def _handle(screen: ChatScreen, line: str) -> None:
    """Errors of one line are told, and the chat goes on."""
    if not line.strip():
        return
    try:
        if line.lstrip().startswith("/"):
            prompt = await run_command(screen, line.strip())
            if prompt is None:
                return
            line = prompt
        await screen.say(line)
    except OssError as error:
        sys.stderr.write(f"error: {error.message}\n")
        if error.hint:
            sys.stderr.write(f"hint: {error.hint}\n")


def _prompt_text(screen: ChatScreen) -> str:
    files = f" +{len(screen.attached)} files" if screen.attached else ""
    return f"{screen.chat.session.ingredients.resolved.name}{files}> "


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
