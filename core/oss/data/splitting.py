"""Parts a set for training and for checking, so that nothing leaks from one to the other."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.data.rows import Row


def question(row: Row) -> str:
    """What the row asks: its last user message before the answer, or its beginning."""
    if row.kind == "text":
        return row.text[:200]
    messages = row.messages if row.kind == "chat" else row.prompt
    asked = [message.content for message in messages if message.role == "user"]
    return asked[0] if asked else messages[0].content


def split(rows: Sequence[Row], fraction: float, seed: int = 0) -> tuple[list[Row], list[Row]]:
    """Training rows and held-out rows, each in the order of ``rows``.

    Which part a row falls into depends on its question and the seed alone: rows with the same
    question stay together, and adding rows moves none from one part to the other. ``fraction``
    of the distinct questions, at least one when there are two, is held out.
    """
    if fraction <= 0:
        return list(rows), []
    keys = [
        hashlib.sha256(f"{seed}\0{question(row).strip().casefold()}".encode()).hexdigest()
        for row in rows
    ]
    bound = int(fraction * 2**64)
    held = {key for key in keys if int(key[:16], 16) < bound}
    distinct = sorted(set(keys))
    if len(distinct) > 1:
        held = held or {distinct[0]}
        if len(held) == len(distinct):
            held.discard(distinct[-1])
    else:
        held = set()
    kept = [row for row, key in zip(rows, keys, strict=True) if key not in held]
    return kept, [row for row, key in zip(rows, keys, strict=True) if key in held]
