"""What `oss data generate` does: ask, keep each answer at once, write the set at the end."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click
import msgspec

from oss.cli.counting import count
from oss.cli.data_files import said
from oss.contracts.errors import ContextOverflowError, UsageError
from oss.data.linelog import LineLog
from oss.data.prompts import Ask, read_prompts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from oss.contracts.messages import Message
    from oss.turn.events import Done
    from oss.turn.session import Session


@dataclass(frozen=True)
class Options:
    """The command line, but for the profile."""

    files: tuple[Path, ...]
    output: Path
    encoding: str
    limit: int | None
    parallel: int
    with_system: bool
    reasoning: bool
    keep_cut: bool
    force: bool


class Answer(msgspec.Struct, omit_defaults=True):
    """A line of the file of answers.

    :param key: of the prompt.
    :param record: the row; ``None`` where there is no answer.
    :param finish: why the answer ended, or that the prompt was too long.
    """

    key: str
    finish: str
    record: dict[str, Any] | None = None


class Teacher:
    """One run."""

    def __init__(self, options: Options, profile: str | None, sets: Sequence[str]) -> None:
        self._options = options
        self._profile = profile
        self._sets = sets
        self._answers: dict[str, Answer] = {}
        self._asks: dict[str, Ask] = {}
        self._part = options.output.with_name(f"{options.output.name}.part")
        self._tokens = 0

    def state(self) -> str:
        """How far it is."""
        return f"{len(self._answers)} of {count(len(self._asks), 'answer')} in {self._part}"

    async def run(self) -> None:
        """Answer every prompt that has no answer yet, then write the output.

        :raises OssError: the prompts, the profile or the output are of no use; the engine failed.
        """
        from oss.data.writing import check_output
        from oss.plugins.manager import load_plugins
        from oss.profile import resolve_profile
        from oss.turn.session import open_session

        options = self._options
        check_output(options.output, options.files, force=options.force)
        self._asks = _prompts(options)
        plugins = load_plugins()
        resolved = resolve_profile(self._profile, sets=self._sets, plugins=plugins)
        head = msgspec.json.encode(
            {"generate": resolved.hash, "options": [options.with_system, options.reasoning]}
        )
        other = f"{self._part} holds answers of another profile or other settings"
        with ExitStack() as stack:
            log = stack.enter_context(LineLog(self._part, head, other))
            self._go_on(log)
            async with open_session(resolved, plugins) as session:
                made = session.ingredients
                self._note(
                    f"teacher: {made.choice.model.name} ({made.backend_name}), "
                    f"profile {resolved.name}; {count(len(self._asks), 'prompt')}"
                    + (f", {len(self._answers):,} answered before" if self._answers else "")
                )
                width = options.parallel if "batching" in made.capabilities else 1
                await self._answer_all(session, log, width)
            self._write()
            log.remove()

    def _go_on(self, log: LineLog) -> None:
        try:
            for line in log.lines:
                answer = msgspec.json.decode(line, type=Answer)
                if answer.key in self._asks:
                    self._answers[answer.key] = answer
        except msgspec.DecodeError as error:
            raise UsageError(
                f"{self._part} is damaged: {error}", hint="remove it to begin anew"
            ) from error

    async def _answer_all(self, session: Session, log: LineLog, width: int) -> None:
        """Several at a time; the first failure ends all."""
        waiting = iter([key for key in self._asks if key not in self._answers])

        async def work() -> None:
            for key in waiting:  # the tasks share one iterator
                answer = await self._answer(session, key, self._asks[key])
                log.append(msgspec.json.encode(answer))
                self._answers[key] = answer
                self._progress()

        tasks = [asyncio.create_task(work()) for _ in range(width)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if sys.stderr.isatty():
                sys.stderr.write("\r\x1b[K")

    async def _answer(self, session: Session, key: str, ask: Ask) -> Answer:
        from oss.turn.events import Done

        own = tuple(message for message in ask.messages if message.role == "system")
        *history, prompt = (message for message in ask.messages if message.role != "system")
        made = session.ingredients
        if own:  # the prompt's own system text takes the place of the persona
            session = session.on_behalf(await session.engine(), replace(made, opening=own))
        done: Done | None = None
        try:
            async with aclosing(session.turn(history, prompt.content)) as events:
                async for event in events:
                    if isinstance(event, Done):
                        done = event
        except ContextOverflowError as error:
            self._note(f"{ask.origin}: {error.message}")
            return Answer(key, "overflow")
        assert done is not None  # noqa: S101  a turn ends with it, or raises
        self._tokens += done.usage.completion_tokens
        if not done.answer.strip():
            return Answer(key, "empty")
        return Answer(key, done.finish_reason, self._record(session, ask, own, done))

    def _record(
        self, session: Session, ask: Ask, own: Sequence[Message], done: Done
    ) -> dict[str, Any]:
        from oss.data.converting import message_record, tools_record

        made = session.ingredients
        messages = [m for m in ask.messages if m.role != "system"] + list(done.messages[1:])
        if self._options.with_system or own:
            messages = [*(m for m in made.opening if m.role == "system"), *messages]
        if not self._options.reasoning:
            messages = [replace(message, reasoning="") for message in messages]
        called = any(message.tool_calls for message in messages)
        return {
            "messages": [message_record(message) for message in messages],
            **tools_record([tool.spec for tool in made.tools] if called else ()),
            **ask.rest,
            "provenance": {
                "prompt": str(ask.origin),
                "profile": made.resolved.name,
                "profile_hash": made.resolved.hash,
                "model": made.choice.model.name,
                "model_ref": made.choice.model.ref,
                "backend": made.backend_name,
                "persona": made.persona,
                "finish_reason": done.finish_reason,
                "tokens": done.usage.completion_tokens,
                "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            },
        }

    def _write(self) -> None:
        from oss.data.writing import new_file

        options = self._options
        left_out: dict[str, int] = {}
        written = 0
        with new_file(options.output, options.files, force=options.force) as writer:
            for key in self._asks:
                answer = self._answers[key]
                if answer.record is None or (answer.finish == "length" and not options.keep_cut):
                    left_out[answer.finish] = left_out.get(answer.finish, 0) + 1
                    continue
                writer.write(answer.record)
                written += 1
        words = {
            "length": "cut at the longest length (--max-tokens, --keep-cut)",
            "overflow": "whose prompt was too long",
            "empty": "empty",
        }
        for finish, number in left_out.items():
            self._note(f"left out: {number:,} {words.get(finish, finish)}")
        said(options.output, f"{count(written)} written")

    def _progress(self) -> None:
        if sys.stderr.isatty():
            done = f"\r{len(self._answers):,} of {len(self._asks):,} answers"
            sys.stderr.write(f"{done}, {self._tokens:,} tokens\x1b[K")
            sys.stderr.flush()

    def _note(self, line: str) -> None:
        click.echo(f"\r\x1b[K{line}" if sys.stderr.isatty() else line, err=True)


def _prompts(options: Options) -> dict[str, Ask]:
    """Every prompt under a key that stays the same when the file grows.

    :raises UsageError: a row has no prompt, or there is none at all.
    """
    found: dict[str, Ask] = {}
    for file in options.files:
        for ask in read_prompts(file, options.encoding):
            if not isinstance(ask, Ask):
                raise UsageError(str(ask), hint="oss data filter --usable leaves such rows out")
            said_here = msgspec.json.encode(ask.messages)
            digest = hashlib.blake2b(said_here, digest_size=12).hexdigest()
            found.setdefault(f"{file.name}:{ask.origin.line}:{digest}", ask)
            if options.limit and len(found) == options.limit:
                return found
    if not found:
        raise UsageError(f"{', '.join(map(str, options.files))}: no prompt")
    return found
