"""Rows to records, and messages and passages to the JSON text that the rows hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from oss.contracts.chat import Timings, Usage
from oss.contracts.retriever import Passage
from oss.contracts.wire import message_from_wire, message_to_wire
from oss.store.records import Conversation, Hit, Setup, Turn

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from oss.contracts.messages import Message

CONVERSATION_COLUMNS = """
    c.id, c.title, c.created, c.updated, c.head_id,
    coalesce(h.profile, '') AS profile, coalesce(h.model, '') AS model,
    (WITH RECURSIVE path(id) AS (
        SELECT c.head_id UNION ALL
        SELECT t.parent_id FROM turns t JOIN path USING (id)
    ) SELECT count(id) FROM path) AS turns
"""
"""Of ``conversations c LEFT JOIN turns h ON h.id = c.head_id``."""


def messages_to_text(messages: Iterable[Message]) -> str:
    """JSON, as in the OpenAI API; Cyrillic stays readable."""
    return json.dumps([message_to_wire(m) for m in messages], ensure_ascii=False)


def messages_from_text(text: str) -> tuple[Message, ...]:
    """The reverse of :func:`messages_to_text`."""
    return tuple(message_from_wire(wire) for wire in json.loads(text))


def passages_to_text(passages: Iterable[Passage]) -> str:
    """JSON objects with the fields of a passage."""
    return json.dumps(
        [
            {
                "text": p.text,
                "source": p.source,
                "span": list(p.span),
                "score": p.score,
                "metadata": dict(p.metadata),
            }
            for p in passages
        ],
        ensure_ascii=False,
    )


def passages_from_text(text: str) -> tuple[Passage, ...]:
    """The reverse of :func:`passages_to_text`."""
    return tuple(
        Passage(p["text"], p["source"], (p["span"][0], p["span"][1]), p["score"], p["metadata"])
        for p in json.loads(text)
    )


def conversation_from_row(row: sqlite3.Row) -> Conversation:
    """Of a row with :data:`CONVERSATION_COLUMNS`."""
    return Conversation(
        row["id"],
        row["title"],
        row["created"],
        row["updated"],
        row["head_id"],
        row["turns"],
        row["profile"],
        row["model"],
    )


def turn_from_row(row: sqlite3.Row) -> Turn:
    """Of a row with every column of ``turns``."""
    return Turn(
        id=row["id"],
        conversation_id=row["conversation_id"],
        parent_id=row["parent_id"],
        created=row["created"],
        state=row["state"],
        setup=Setup(
            row["profile"], row["profile_hash"], row["model"], row["backend"], row["persona"]
        ),
        messages=messages_from_text(row["messages"]),
        passages=passages_from_text(row["passages"]),
        finish_reason=row["finish_reason"],
        error=row["error"],
        usage=Usage(row["prompt_tokens"], row["completion_tokens"], row["cached_tokens"]),
        timings=Timings(row["load_s"], row["first_token_s"], row["prompt_s"], row["generate_s"]),
    )


def hit_from_row(row: sqlite3.Row) -> Hit:
    """Of a row of the search."""
    return Hit(row["conversation_id"], row["title"], row["turn_id"], row["updated"], row["excerpt"])
