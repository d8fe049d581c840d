"""Reads the events of a turn and shows them: on a terminal, in a pipe, or as one JSON object."""

from __future__ import annotations

import json
import sys
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from oss.cli.counting import count
from oss.turn.events import (
    Cited,
    Done,
    Event,
    Notice,
    PassagesFound,
    Reasoning,
    Text,
    ToolCalled,
    ToolReturned,
)
from oss.turn.untrusted import clean

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from oss.cli.aside import Aside


class Writer(Protocol):
    """Takes the answer as it comes."""

    def write(self, text: str) -> None:
        """A piece of the answer."""

    def end(self) -> None:
        """The answer is complete, or was stopped."""


class PlainWriter:
    """The answer as it is, each piece at once; a line end at the end."""

    def __init__(self) -> None:
        self._last = ""

    def write(self, text: str) -> None:
        """Write and flush."""
        sys.stdout.write(text)
        sys.stdout.flush()
        self._last = text or self._last

    def end(self) -> None:
        """End the last line."""
        if self._last and not self._last.endswith("\n"):
            sys.stdout.write("\n")
        sys.stdout.flush()


class NoWriter:
    """For answers that are shown when they are complete."""

    def write(self, text: str) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


@dataclass
class Record:
    """A turn as it was seen.

    :ivar unasked: names of tools that did not run because no one could be asked.
    """

    done: Done | None = None
    events: list[Event] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)


async def show_answer(
    events: AsyncGenerator[Event, None],
    writer: Writer,
    aside: Aside,
    *,
    reasoning: bool,
    label: str,
) -> Record:
    """Show a turn to its end.

    :param reasoning: show the model's thinking.
    :param label: what is said while the first event is waited for.
    """
    record = Record()
    thinking = False
    aside.wait(label)
    try:
        async with aclosing(events):
            async for event in events:
                if thinking and not isinstance(event, Reasoning):
                    thinking = False
                    aside.write("\n\n" if reasoning else "")
                match event:
                    case Text(text=text):
                        aside.clear()
                        writer.write(text)
                    case Reasoning(text=text):
                        if reasoning:
                            aside.write(clean(text))
                        elif not thinking:
                            aside.wait("thinking")
                        thinking = True
                    case Notice(message=message):
                        aside.note(message)
                    case PassagesFound(passages=passages, left_out=left_out):
                        aside.note(_passages_line(len(passages), len(left_out)))
                    case ToolCalled(call=call):
                        writer.end()
                        aside.note(f"tool {clean(call.name)} {clean(call.arguments)}")
                    case ToolReturned(call=call, result=result, failed=failed):
                        if event.unasked:
                            record.unasked.append(call.name)
                        lines = clean(result).strip().splitlines() or [""]
                        more = f" (+{len(lines) - 1} lines)" if len(lines) > 1 else ""
                        aside.note(f"  {'failed: ' if failed else ''}{lines[0][:200]}{more}")
                        aside.wait("answering")
                    case Cited():
                        from oss.cli.sources import sources_lines

                        writer.end()
                        for line in sources_lines(event, sys.stderr):
                            aside.note(line)
                    case Done():
                        record.done = event
                record.events.append(event)
    finally:
        aside.clear()
        writer.end()
    return record


def _passages_line(found: int, left_out: int) -> str:
    line = f"{count(found, 'passage')} of your documents"
    return line + (f"; {left_out} more did not fit" if left_out else "")


def stats_line(done: Done) -> str:
    """What an answer took, for people."""
    usage, timings = done.usage, done.timings
    cached = f" ({usage.cached_tokens} cached)" if usage.cached_tokens else ""
    parts = [
        f"prompt {usage.prompt_tokens} tokens{cached}",
        f"answer {usage.completion_tokens} tokens",
        f"{timings.tokens_per_second(usage):.1f} tokens/s",
        f"first token {timings.first_token_s:.2f} s",
    ]
    if timings.load_s:
        parts.append(f"load {timings.load_s:.2f} s")
    return ", ".join(parts)


def answer_json(record: Record, done: Done, facts: dict[str, Any]) -> str:
    """One JSON object: the turn and ``facts`` about it."""
    usage, timings = done.usage, done.timings
    results = {e.call.id: e for e in record.events if isinstance(e, ToolReturned)}
    return json.dumps(
        {
            "answer": done.answer,
            "reasoning": done.messages[-1].reasoning,
            "finish_reason": done.finish_reason,
            **facts,
            "usage": {
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "total_tokens": usage.total_tokens,
                "cached_tokens": usage.cached_tokens,
            },
            "timings": {
                "load_s": timings.load_s,
                "first_token_s": timings.first_token_s,
                "prompt_s": timings.prompt_s,
                "generate_s": timings.generate_s,
                "tokens_per_second": timings.tokens_per_second(usage),
            },
            "tool_calls": [
                {
                    "name": event.call.name,
                    "arguments": event.call.arguments,
                    "result": results[event.call.id].result,
                    "failed": results[event.call.id].failed,
                }
                for event in record.events
                if isinstance(event, ToolCalled)
            ],
            "passages": [
                {"source": p.source, "score": p.score, "span": list(p.span), "text": p.text}
                for event in record.events
                if isinstance(event, PassagesFound)
                for p in event.passages
            ],
            "citations": [
                {"number": number, "source": event.passages[number - 1].source}
                for event in record.events
                if isinstance(event, Cited)
                for number in event.numbers
            ],
            "attributed": [
                {"number": number, "source": event.passages[number - 1].source}
                for event in record.events
                if isinstance(event, Cited)
                for number in event.attributed
            ],
            "notices": [e.message for e in record.events if isinstance(e, Notice)],
        },
        ensure_ascii=False,
        indent=2,
    )
