"""Conversations as files: Markdown for people, JSON for programs, JSONL to train on."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from oss.contracts.wire import message_to_wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from oss.contracts.messages import Message
    from oss.store.records import Conversation, Turn

_HEADINGS = {"user": "User", "assistant": "Assistant", "tool": "Tool", "system": "System"}


def timestamp(seconds: float) -> str:
    """A time as ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


def conversation_markdown(conversation: Conversation, turns: Sequence[Turn]) -> str:
    """The title, then what was said."""
    messages = [message for turn in turns for message in turn.messages]
    return f"# {conversation.title}\n\n{messages_markdown(messages)}"


def messages_markdown(messages: Iterable[Message]) -> str:
    """What was said, each message under a heading."""
    parts = []
    for message in messages:
        text = message.content
        for call in message.tool_calls:
            text += f"\n\n`{call.name} {call.arguments}`"
        parts.append(f"## {_HEADINGS[message.role]}\n\n{text.strip()}\n")
    return "\n".join(parts)


def conversation_json(conversation: Conversation, turns: Sequence[Turn]) -> dict[str, Any]:
    """Everything that the store has of a conversation."""
    return {**conversation_facts(conversation), "turns": [turn_json(turn) for turn in turns]}


def conversation_facts(conversation: Conversation) -> dict[str, Any]:
    """The conversation without its turns."""
    return {
        "id": conversation.id,
        "title": conversation.title,
        "created": timestamp(conversation.created),
        "updated": timestamp(conversation.updated),
        "turn_count": conversation.turns,
        "profile": conversation.profile,
        "model": conversation.model,
    }


def turn_json(turn: Turn) -> dict[str, Any]:
    """A turn; ``state`` is ``running`` also where its process was killed."""
    return {
        "id": turn.id,
        "parent": turn.parent_id,
        "created": timestamp(turn.created),
        "state": turn.state,
        "finish_reason": turn.finish_reason,
        "error": turn.error,
        **asdict(turn.setup),
        "messages": [message_to_wire(message) for message in turn.messages],
        "passages": [
            {"source": p.source, "score": p.score, "span": list(p.span), "text": p.text}
            for p in turn.passages
        ],
        "usage": asdict(turn.usage),
        "timings": asdict(turn.timings),
    }


def training_line(turns: Iterable[Turn]) -> str | None:
    """One line of JSONL with OpenAI ``messages``; ``None`` where nothing was answered whole.

    Turns that failed or were stopped are left out, and so is the model's reasoning.
    """
    messages = [
        message_to_wire(message, reasoning=False)
        for turn in turns
        if turn.state == "done" and turn.answered
        for message in turn.messages
    ]
    return json.dumps({"messages": messages}, ensure_ascii=False) if messages else None
