"""Which rows are wanted: by number, by what they say, by chance."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import UsageError
from oss.data.formats import recognise
from oss.data.rows import Fault
from oss.data.views import answer, messages_of, question, tokens_about, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from oss.contracts.filters import Filter
    from oss.data.reading import Item

_RANGE = re.compile(r"(\d+)?(-)?(\d+)?")


class Numbers:
    """Numbers and ranges: ``1,5-9,100-``.

    :raises UsageError: the text is something else.
    """

    def __init__(self, text: str) -> None:
        self._ranges: list[tuple[int, float]] = []
        for part in text.split(","):
            match = _RANGE.fullmatch(part.strip())
            if match is None or not (match[1] or match[3]):
                raise UsageError(f"'{part.strip()}' is no number or range", hint="such as 1,5-9")
            first = int(match[1] or 1)
            last = float(match[3] or ("inf" if match[2] else match[1]))
            self._ranges.append((first, last))

    def __contains__(self, number: int) -> bool:
        return any(first <= number <= last for first, last in self._ranges)


# Facts of a row that conditions may ask for, beside the keys of its record.
_FACTS: Mapping[str, Callable[[Item], Any]] = {
    "line": lambda item: item.origin.line,
    "file": lambda item: item.origin.file,
    "broken": lambda item: isinstance(item.row, Fault),
    "format": lambda item: form_of(item),
    "kind": lambda item: None if isinstance(item.row, Fault) else item.row.kind,
    "turns": lambda item: _of(item, lambda row: sum(m.role == "user" for m in messages_of(row))),
    "chars": lambda item: _of(item, lambda row: len(whole(row))),
    "tokens": lambda item: _of(
        item, lambda row: tokens_about(whole(row), max(1, len(messages_of(row))))
    ),
    "question": lambda item: _of(item, question),
    "answer": lambda item: _of(item, answer),
    "answer_chars": lambda item: _of(item, lambda row: len(answer(row))),
    "text": lambda item: _of(item, whole),
    "system": lambda item: _of(
        item, lambda row: next((m.content for m in messages_of(row) if m.role == "system"), None)
    ),
    "roles": lambda item: _of(item, lambda row: [m.role for m in messages_of(row)]),
    "language": lambda item: _of(item, lambda row: _language(whole(row))),
}
FACTS = (*_FACTS, "faults")
"""Names that conditions may use, beside the keys of the records."""


def form_of(item: Item) -> str | None:
    """The row's format by the name that `convert --to` has for it; ``None`` for a broken row."""
    if isinstance(item.row, Fault) or item.record is None:
        return None
    name = recognise(item.record)
    return "prompt-completion" if name == "completion" else name


def _of(item: Item, fact: Callable[[Any], Any]) -> Any:
    return None if isinstance(item.row, Fault) else fact(item.row)


def _language(text: str) -> str | None:
    from oss.data.languages import language_of

    return language_of(text)


class Condition:
    """A filter expression on rows: ``not faults~personal and answer_chars>200``.

    Names are facts (:data:`FACTS`) or keys of the records; a key of the record that is named as a
    fact is reached with ``record.NAME``.

    :ivar unseen: names that no row had so far.
    :raises UsageError: it cannot be read, or asks for languages where they cannot be told.
    """

    def __init__(self, expression: str) -> None:
        from oss.data.languages import has_library
        from oss.retrieval.filters import fields_of, parse_filter

        self._filter: Filter = parse_filter(expression)
        self._names = fields_of(self._filter)
        if "language" in self._names and not has_library():
            raise UsageError(
                "languages are told by 'py3langid', which is not installed",
                hint="pip install 'oss-workbench[data]'",
            )
        self.unseen = self._names - set(FACTS)

    @property
    def asks_faults(self) -> bool:
        """Whether the rows must be checked for it."""
        return "faults" in self._names

    def holds(self, item: Item, faults: Sequence[Fault] = ()) -> bool:
        """Whether it holds for a row."""
        from oss.retrieval.filters import field_value, holds

        record = item.record or {}
        values: dict[str, Any] = {"record": record}
        for name in self._names:
            if name == "faults":
                values[name] = [fault.code for fault in faults]
            elif name in _FACTS:
                values[name] = _FACTS[name](item)
            else:
                values[name] = field_value(values if name.startswith("record.") else record, name)
                if values[name] is not None:
                    self.unseen.discard(name)
        return holds(self._filter, values)
