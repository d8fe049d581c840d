"""A row as text that a person edits, and back."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oss.contracts.messages import Message
from oss.data.converting import KEYS, CannotError, to_record
from oss.data.formats import RowError, parse
from oss.data.rows import Conversation, Fault, Text
from oss.data.selecting import form_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oss.data.reading import Item

_HEAD = re.compile(r"^=== (system|user|assistant) ===[ \t]*$", re.MULTILINE)


def editable(item: Item) -> tuple[str, str]:
    """The text to edit, and the suffix of its form.

    A plain conversation is text with a line ``=== role ===`` before each message; plain text is
    itself; anything else, broken rows too, is JSON.
    """
    row = item.row
    if isinstance(row, Text):
        return row.text, ".txt"
    if isinstance(row, Conversation) and _is_plain(row):
        return "\n\n".join(f"=== {m.role} ===\n{m.content}" for m in row.messages) + "\n", ".md"
    import json

    if item.record is not None:
        return json.dumps(item.record, ensure_ascii=False, indent=2) + "\n", ".json"
    return (item.raw or b"").decode("utf-8", "replace") + "\n", ".json"


def edited(item: Item, text: str) -> Mapping[str, Any]:
    """The record that the edited text means, in the format that the row had.

    :raises RowError: it means no row.
    """
    row = item.row
    record: Mapping[str, Any]
    if isinstance(row, Text):
        return {**(item.record or {}), "text": text.removesuffix("\n")}
    if isinstance(row, Conversation) and _is_plain(row):
        messages = _messages(text)
        changed = replace(row, messages=messages, unlearned=frozenset())
        form = form_of(item) or "messages"
        try:
            record = to_record(changed, form)
        except CannotError:
            form, record = "messages", to_record(changed, "messages")
        own = frozenset[str]().union(*KEYS.values())
        return {**record, **{k: v for k, v in (item.record or {}).items() if k not in own}}
    import msgspec

    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise RowError("syntax", f"not JSON: {error}") from error
    parse(value, item.origin)
    found: Mapping[str, Any] = value
    return found


def reread(item: Item, record: Mapping[str, Any]) -> Item:
    """The item with another record."""
    try:
        return replace(item, row=parse(record, item.origin), record=record, raw=None)
    except RowError as error:
        fault = Fault(item.origin, error.code, str(error))
        return replace(item, row=fault, record=record, raw=None)


def _is_plain(row: Conversation) -> bool:
    """Whether role and text say everything, and no text looks like a line between messages."""
    return (
        not row.tools
        and not row.unlearned
        and all(m == Message(m.role, m.content) and m.role != "tool" for m in row.messages)
        and not any(_HEAD.search(m.content) for m in row.messages)
    )


def _messages(text: str) -> tuple[Message, ...]:
    parts = _HEAD.split(text.replace("\r\n", "\n"))
    if parts[0].strip() or len(parts) < 3:
        raise RowError("messages", "begin with a line such as: === user ===")
    roles: Any = parts[1::2]
    # The empty lines around a message are the form's, not the text's.
    return tuple(
        Message(role, body.strip("\n")) for role, body in zip(roles, parts[2::2], strict=True)
    )
