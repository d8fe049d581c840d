"""Parts a set for training and for checking, so that nothing leaks from one to the other."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from oss.data.near import ExactIndex, Groups, NearIndex, has_library
from oss.data.views import question

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from oss.data.rows import Row


def split(rows: Sequence[Row], fraction: float, seed: int = 0) -> tuple[list[Row], list[Row]]:
    """Training rows and held-out rows, each in the order of ``rows``.

    Which part a row falls into depends on its question and the seed alone: rows with the same
    question, or nearly the same where the library for it is installed, stay together.
    ``fraction`` of the distinct questions, at least one when there are two, is held out.
    """
    grouped = group_questions(map(question, rows), near=has_library())
    held = held_out(grouped, fraction, seed)
    kept = [row for row, out in zip(rows, held, strict=True) if not out]
    return kept, [row for row, out in zip(rows, held, strict=True) if out]


def held_out(questions: Sequence[str], share: float, seed: int = 0) -> list[bool]:
    """For each question, whether its row is held out.

    :param share: of the distinct questions; 1 or more is a number of them.
    """
    if share <= 0:
        return [False] * len(questions)
    keys = [
        hashlib.sha256(f"{seed}\0{text.strip().casefold()}".encode("utf-8", "replace")).hexdigest()
        for text in questions
    ]
    distinct = sorted(set(keys))
    if share >= 1:
        held = set(distinct[: min(round(share), len(distinct) - 1)])
        return [key in held for key in keys]
    bound = int(share * 2**64)
    held = {key for key in distinct if int(key[:16], 16) < bound}
    if len(distinct) > 1:
        held = held or {distinct[0]}
        if len(held) == len(distinct):
            held.discard(distinct[-1])
    else:
        held = set()
    return [key in held for key in keys]


def group_questions(questions: Iterable[str], *, near: bool) -> list[str]:
    """For each question, the first one that it is the same as, or nearly: what to split by.

    :raises ConfigError: near ones are wanted, and the library for them is not installed.
    """
    exact, index, groups = ExactIndex(), NearIndex() if near else None, Groups()
    first: list[str] = []
    for text in questions:
        key = groups.add()
        same = exact.find(text)
        first.append(text if same is None else "")  # a question that is repeated is kept once
        if same is not None:
            groups.join(key, same)
            continue
        exact.add(text, key)
        if index is not None:
            signature = index.signature(text)
            for other in index.all(signature):
                groups.join(key, other)
            index.add(signature, key)
    return [first[groups.of(key)] for key in range(len(first))]
