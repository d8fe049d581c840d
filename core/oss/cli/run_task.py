"""What `oss run` does: settle the profile, then answer once or chat."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oss.cli.run_input import read_prompt, read_schema_option
from oss.contracts.errors import BackendError, RefusedError, UsageError
from oss.turn.attachments import read_files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from oss.cli.aside import Aside
    from oss.store import Store
    from oss.turn.attachments import Attachment
    from oss.turn.chat import Chat
    from oss.turn.choices import Choices
    from oss.turn.talk import Talk

BROKEN_PIPE = 141
"""128 and the number of SIGPIPE: the reader of stdout has gone."""


@dataclass(frozen=True)
class RunOptions:
    """The command line, as click parsed it."""

    prompt: tuple[str, ...] = ()
    profile: str | None = None
    files: tuple[str, ...] = ()
    go_on: bool = False
    conversation: int | None = None
    persona: str | None = None
    model: str | None = None
    backend: str | None = None
    adapters: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    temperature: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    schema: str | None = None
    as_json: bool = False
    dry_run: bool = False
    no_log: bool = False
    show_reasoning: bool = False
    stats: bool = False
    quiet: bool = False

    def choices(self) -> Choices:
        """What the flags choose over the profile."""
        from oss.turn.choices import Choices

        flags = {
            "sampling.temperature": self.temperature,
            "sampling.seed": self.seed,
            "sampling.max_tokens": self.max_tokens,
        }
        given = [f"{key}={value}" for key, value in flags.items() if value is not None]
        return Choices(
            self.profile,
            self.persona,
            self.model,
            self.backend,
            self.adapters,
            (*self.sets, *given),
        )


def run_task(options: RunOptions) -> int:
    """Do it; returns the exit code."""
    import asyncio

    try:
        return asyncio.run(_run(options))
    except BrokenPipeError:
        # Whoever read has what they wanted; nothing more can be written, at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return 130


async def _run(options: RunOptions) -> int:
    from oss.cli.aside import Aside
    from oss.cli.interrupt import Interrupted, interruptible

    aside = Aside(options.quiet)
    if not options.prompt and not options.files and sys.stdin is not None and sys.stdin.isatty():
        from oss.cli.chat import chat

        return await chat(options, aside)
    prompt, attachments = read_prompt(options.prompt), read_files(options.files)
    schema = read_schema_option(options.schema) if options.schema else None
    if not prompt and not attachments:
        raise UsageError("the prompt is empty", hint='oss run "your question"')
    try:
        return await interruptible(_answer_once(options, aside, prompt, attachments, schema))
    except Interrupted as interrupted:
        return interrupted.exit_code


@asynccontextmanager
async def open_talk(options: RunOptions, aside: Aside) -> AsyncIterator[Talk]:
    """The talk that the command line asks for, its model not loaded yet."""
    from oss.plugins.manager import load_plugins
    from oss.turn.commands import choice_line
    from oss.turn.talk import Talk

    plugins = load_plugins()
    with ExitStack() as stack:
        store, conversation = _conversation(options, stack)
        talk = Talk(plugins, store, keep=not options.no_log)
        try:
            await talk.begin(options.choices(), conversation)
            aside.note(choice_line(talk))
            yield talk
        finally:
            await talk.close()


def _conversation(options: RunOptions, stack: ExitStack) -> tuple[Store | None, int | None]:
    going_on = options.go_on or options.conversation is not None
    if (options.no_log or options.dry_run) and not going_on:
        return None, None
    from oss.store import Store

    store = stack.enter_context(Store())
    if options.conversation is not None:
        return store, store.conversation(options.conversation).id
    if options.go_on:
        last = store.last()
        if last is None:
            raise UsageError("there is no conversation to go on with", hint='oss run "hello"')
        return store, last.id
    return store, None


async def _answer_once(
    options: RunOptions,
    aside: Aside,
    prompt: str,
    attachments: list[Attachment],
    schema: dict[str, Any] | None,
) -> int:
    async with open_talk(options, aside) as talk:
        chat = talk.chat
        if options.dry_run:
            from oss.cli.dry_run import plan_json

            plan = await chat.session.plan(
                chat.history, prompt, attachments=attachments, json_schema=schema
            )
            sys.stdout.write(plan_json(plan) + "\n")
            return 0
        return await _show(options, aside, chat, prompt, attachments, schema)


async def _show(
    options: RunOptions,
    aside: Aside,
    chat: Chat,
    prompt: str,
    attachments: list[Attachment],
    schema: dict[str, Any] | None,
) -> int:
    from oss.cli.answer import NoWriter, PlainWriter, answer_json, show_answer, stats_line
    from oss.cli.aside import colours

    writer: Any
    if options.as_json:
        writer = NoWriter()
    elif schema is None and colours(sys.stdout):
        from oss.cli.markdown import MarkdownWriter

        writer = MarkdownWriter()
    else:
        writer = PlainWriter()
    consent = None
    if sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty():
        from oss.cli.consent import Asking

        consent = Asking(aside)
    from oss.engines.loading import loading_heard_by

    made = chat.session.ingredients
    events = chat.say(prompt, attachments=attachments, consent=consent, json_schema=schema)
    with loading_heard_by(aside.wait_for):
        record = await show_answer(
            events,
            writer,
            aside,
            reasoning=options.show_reasoning or made.profile.reasoning.show,
            label=f"loading {made.choice.model.name}",
        )
    done = record.done
    assert done is not None  # noqa: S101  a turn ends with it, or raises
    if options.as_json:
        facts = {
            "model": made.choice.model.name,
            "model_ref": made.choice.model.ref,
            "backend": made.backend_name,
            "profile": made.resolved.name,
            "profile_hash": made.resolved.hash,
            "persona": made.persona,
            "conversation": chat.conversation_id,
            "turn": chat.turn_id,
        }
        sys.stdout.write(answer_json(record, done, facts) + "\n")
    if done.finish_reason == "length":
        aside.note("the answer was cut: it reached its longest length (--max-tokens, context)")
    if options.stats:
        aside.note(stats_line(done))
    if done.schema_problem:
        raise BackendError(
            f"the answer does not satisfy the schema: {done.schema_problem}",
            hint="raise --max-tokens" if done.finish_reason == "length" else "try again",
        )
    if record.unasked:
        raise RefusedError(
            f"tool '{record.unasked[0]}' did not run: it needs consent, and there is no terminal "
            "to ask at",
            hint="allow it in advance: --set tools.consent=always",
        )
    return 0
