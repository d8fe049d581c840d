"""A turn of the store as the events that it was made of, for those who show both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oss.turn.citations import cited_by
from oss.turn.events import Event, PassagesFound, Reasoning, Text, ToolCalled, ToolReturned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oss.contracts.messages import ToolCall
    from oss.store import Turn


def replay(turn: Turn) -> Iterator[Event]:
    """Passages, thinking, text, tool calls and results, in order, and what a whole answer cites;
    not how it ended.
    """
    if turn.passages:
        yield PassagesFound(turn.passages)
    calls: dict[str | None, ToolCall] = {}
    for message in turn.messages[1:]:
        if message.role == "tool":
            call = calls.get(message.tool_call_id)
            if call is not None:
                yield ToolReturned(call, message.content)
            continue
        if message.reasoning:
            yield Reasoning(message.reasoning)
        if message.content:
            yield Text(message.content)
        for call in message.tool_calls:
            calls[call.id] = call
            yield ToolCalled(call)
    if cited := cited_by(turn):
        yield cited
