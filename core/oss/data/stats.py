"""Counts and lengths of a set."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING, Any

from oss.data.languages import LanguageWatch
from oss.data.rows import Fault
from oss.data.selecting import form_of
from oss.data.views import answer, messages_of, question, tokens_about, whole

if TYPE_CHECKING:
    from oss.data.reading import Item

MEASURES = ("tokens", "messages", "question characters", "answer characters", "system characters")


class Stats:
    """Give it every item, then ask for :meth:`summary`."""

    def __init__(self) -> None:
        self.rows = self.broken = 0
        self.formats: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.systems: Counter[bytes] = Counter()
        self.tools = 0
        self._languages = LanguageWatch()
        self._values = {name: array("Q") for name in MEASURES}

    def feed(self, item: Item, tokens: int | None = None) -> None:
        """Count one row.

        :param tokens: counted; estimated if left out.
        """
        self.rows += 1
        row = item.row
        if isinstance(row, Fault):
            self.broken += 1
            return
        self.formats[form_of(item) or "text"] += 1
        self.kinds[row.kind] += 1
        messages = messages_of(row)
        self.tools += row.kind == "chat" and bool(row.tools)
        values = self._values
        about = tokens_about(whole(row), max(1, len(messages)))
        values["tokens"].append(about if tokens is None else tokens)
        if messages:
            values["messages"].append(len(messages))
            values["question characters"].append(len(question(row)))
        if row.kind != "prompt":
            values["answer characters"].append(len(answer(row)))
        system = next((m.content for m in messages if m.role == "system"), "")
        if system:
            values["system characters"].append(len(system))
            self.systems[hash_of(system)] += 1
        self._languages.feed(self.rows, answer(row) or question(row))

    def summary(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        return {
            "rows": self.rows,
            "broken": self.broken,
            "formats": dict(self.formats.most_common()),
            "kinds": dict(self.kinds.most_common()),
            "scripts": dict(self._languages.scripts.most_common()),
            "languages": dict(self._languages.languages.most_common()),
            "system_texts": len(self.systems),
            "with_tools": self.tools,
            "lengths": {
                name: _spread(sorted(values)) for name, values in self._values.items() if values
            },
        }


def hash_of(text: str) -> bytes:
    """Eight bytes that stand for a text."""
    import hashlib

    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()


def _spread(values: list[int]) -> dict[str, int]:
    last = len(values) - 1
    return {
        "total": sum(values),
        "least": values[0],
        "half": values[last // 2],
        "nine_tenths": values[last * 9 // 10],
        "most": values[-1],
    }
