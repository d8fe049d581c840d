"""The prompts of a file: what a teacher is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oss.contracts.messages import Message
from oss.data.converting import KEYS
from oss.data.reading import read_items
from oss.data.rows import Fault, Origin
from oss.data.sources import SUFFIXES, read_records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Ask:
    """One prompt.

    :param messages: the last is the user's.
    :param rest: other keys of its row.
    """

    origin: Origin
    messages: tuple[Message, ...]
    rest: Mapping[str, Any] = field(default_factory=dict)


def read_prompts(path: Path, encoding: str = "utf-8") -> Iterator[Ask | Fault]:
    """The prompts of a file: of text, each line that is not empty; of rows, everything up to the
    user's last message, answers after it left out.

    :raises UsageError: the file is absent, unreadable, or of a type that is not known.
    """
    if SUFFIXES.get(path.suffix.lower()) == "text" and path.is_file():
        yield from _lines(path, encoding)
        return
    own = frozenset[str]().union(*KEYS.values())
    for item in read_items(path, encoding):
        row = item.row
        if isinstance(row, Fault):
            yield row
            continue
        if row.kind == "text":
            yield Ask(item.origin, (Message("user", row.text),))
            continue
        messages = row.messages if row.kind == "chat" else row.prompt
        asked = [n for n, message in enumerate(messages) if message.role == "user"]
        if not asked or not messages[asked[-1]].content.strip():
            yield Fault(item.origin, "prompt", "has no message of the user")
            continue
        rest = {k: v for k, v in (item.record or {}).items() if k not in own}
        yield Ask(item.origin, messages[: asked[-1] + 1], rest)


def _lines(path: Path, encoding: str) -> Iterator[Ask | Fault]:
    for record in read_records(path, encoding):
        if isinstance(record.value, Fault):
            yield record.value
            continue
        for number, line in enumerate(record.value["text"].split("\n"), 1):
            if line.strip():
                yield Ask(Origin(str(path), number), (Message("user", line.strip()),))
