"""A row as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oss.contracts.messages import Message
    from oss.data.reading import Item
    from oss.data.rows import Fault

_COLOURS = {"system": "magenta", "user": "cyan", "assistant": "green", "tool": "yellow"}


def row_text(item: Item, faults: Sequence[Fault] = ()) -> str:
    """Place, messages and faults, for a terminal; without colour where click finds none."""
    from oss.data.rows import Fault
    from oss.turn.untrusted import printable

    row = item.row
    lines = [click.style(f"── {item.origin} ──", bold=True)]
    if isinstance(row, Fault):
        lines.append(click.style(f"broken: {printable(row.message)}", fg="red"))
        if item.raw is not None:
            lines.append(printable(item.raw[:2000].decode("utf-8", "replace")))
        return "\n".join(lines)
    if row.kind == "text":
        lines.append(printable(row.text))
    elif row.kind == "chat":
        lines += _messages(row.messages, row.unlearned)
    else:
        lines += _messages(row.prompt)
        if row.kind == "preference":
            lines += [_head("chosen", "green"), printable(row.chosen.content)]
            lines += [_head("rejected", "red"), printable(row.rejected.content)]
        elif row.kind == "rated":
            name = "good answer" if row.good else "bad answer"
            lines += [_head(name, "green" if row.good else "red"), printable(row.answer.content)]
    for fault in faults:
        colour = "red" if fault.fatal else "yellow"
        lines.append(click.style(f"! {fault.code}: {printable(fault.message)}", fg=colour))
    return "\n".join(lines)


def _messages(
    messages: Sequence[Message], unlearned: frozenset[int] = frozenset()
) -> Iterator[str]:
    from oss.turn.untrusted import printable

    for number, message in enumerate(messages):
        name = message.role + (" (not learned)" if number in unlearned else "")
        yield _head(name, _COLOURS[message.role])
        if message.reasoning:
            yield click.style(printable(message.reasoning), dim=True)
        if message.content:
            yield printable(message.content)
        for call in message.tool_calls:
            yield printable(f"[calls {call.name} {call.arguments}]")


def _head(name: str, colour: str) -> str:
    return click.style(f"{name}:", fg=colour, bold=True)
