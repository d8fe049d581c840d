"""What a row says, whatever its kind: its question, its answer, all of its text."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oss.contracts.messages import Message
    from oss.data.rows import Row

KIND_TEXT_START = 200
"""Characters at the beginning of a plain text that stand for its question."""


def messages_of(row: Row) -> tuple[Message, ...]:
    """Every message of the row, the better answer where there are two; none of plain text."""
    if row.kind == "text":
        return ()
    if row.kind == "chat":
        return row.messages
    if row.kind == "preference":
        return (*row.prompt, row.chosen)
    if row.kind == "rated":
        return (*row.prompt, row.answer)
    return row.prompt


def question(row: Row) -> str:
    """What the row asks: its first user message, or the beginning of its text."""
    if row.kind == "text":
        return row.text[:KIND_TEXT_START]
    messages = row.messages if row.kind == "chat" else row.prompt
    asked = [message.content for message in messages if message.role == "user"]
    return asked[0] if asked else messages[0].content


def answer(row: Row) -> str:
    """The last answer, the better one where there are two; the text of plain text."""
    if row.kind == "text":
        return row.text
    if row.kind == "prompt":
        return ""
    messages = messages_of(row)
    return next((m.content for m in reversed(messages) if m.role == "assistant"), "")


def whole(row: Row) -> str:
    """All of the text, messages parted by an empty line."""
    if row.kind == "text":
        return row.text
    texts = [message.content for message in messages_of(row)]
    if row.kind == "preference":
        texts.append(row.rejected.content)
    return "\n\n".join(texts)


def normal(text: str) -> str:
    """The text as far as it matters for being the same: without case, width, runs of space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def tokens_about(text: str, messages: int = 1) -> int:
    """About how many tokens the text has: four ASCII characters each, two of other scripts, and
    four for each message's frame. Tokenizers differ by a factor of two; this is no count.
    """
    other = sum(1 for c in text if c > "\x7f") if not text.isascii() else 0
    return round((len(text) - other) / 4 + other / 2) + 4 * messages


def tokens_at_most(text: str, messages: int = 1) -> int:
    """More tokens than any tokenizer of bytes can make of it: a byte each, and the frames."""
    return len(text.encode("utf-8", "replace")) + 32 * (messages + 1)
