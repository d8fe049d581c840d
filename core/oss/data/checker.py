"""Checks a whole set as it streams by: each row alone, and each against the others."""

from __future__ import annotations

from array import array
from collections import Counter
from math import exp, log
from statistics import median
from typing import TYPE_CHECKING

from oss.data.checking import examine
from oss.data.languages import LEAST_ROWS, LanguageWatch
from oss.data.near import ExactIndex, NearIndex
from oss.data.rows import Fault, Origin
from oss.data.views import answer, question, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oss.data.reading import Item
    from oss.data.rows import Row


class HeldOut:
    """The questions of the held-out part, which no row to learn from may ask.

    :param near: also nearly the same ones.
    :raises ConfigError: the library for them is not installed.
    """

    def __init__(self, *, near: bool) -> None:
        self._exact = ExactIndex()
        self._near = NearIndex() if near else None
        self._origins: list[str] = []

    def add(self, row: Row) -> None:
        """Remember a row's question."""
        key = len(self._origins)
        self._origins.append(str(row.origin))
        text = question(row)
        self._exact.add(text, key)
        if self._near is not None:
            self._near.add(self._near.signature(text), key)

    def leaks(self, row: Row) -> Iterator[Fault]:
        """The fault of a row to learn from that asks what a held-out one asks."""
        text = question(row)
        key = self._exact.find(text)
        if key is not None:
            problem = f"asks what {self._origins[key]} of the held-out part asks"
            yield Fault(row.origin, "leak", problem)
        elif self._near is not None and self._origins:
            found = self._near.find(self._near.signature(text))
            if found:
                problem = f"asks nearly what {self._origins[found[0]]} of the held-out part asks"
                yield Fault(row.origin, "leak", f"{problem} ({found[1]:.0%})")


class Checker:
    """Give it every item of the held-out files (:meth:`hold_out`), then every item of the others
    (:meth:`feed`), then ask for what only the whole set shows (:meth:`finish`).

    :param near: also look for near-duplicates.
    :raises ConfigError: the library for them is not installed.
    """

    def __init__(self, *, near: bool) -> None:
        self.rows = 0
        self.kinds: Counter[str] = Counter()
        self.usable = 0
        self._exact = ExactIndex()
        self._near = NearIndex() if near else None
        self._held = HeldOut(near=near)
        self._files: list[str] = []
        self._origins: list[tuple[int, int, bool]] = []
        self._lengths = array("L")
        self._languages = LanguageWatch()
        self._first: dict[str, int] = {}

    def hold_out(self, item: Item) -> None:
        """Remember a row that the others must not repeat."""
        if not isinstance(item.row, Fault):
            self._held.add(item.row)

    def feed(self, item: Item) -> list[Fault]:
        """The faults of one row, also against those before it."""
        self.rows += 1
        row = item.row
        if isinstance(row, Fault):
            return [row]
        key = len(self._origins)
        self._remember(row.origin)
        self.kinds[row.kind] += 1
        self._first.setdefault(row.kind, key)
        faults = list(examine(row))
        faults += self._held.leaks(row)
        faults += self._copies(row, key)
        said = answer(row) or question(row)
        self._lengths.append(len(said))
        self._languages.feed(key, said)
        self.usable += not any(fault.fatal for fault in faults)
        return faults

    def finish(self) -> Iterator[Fault]:
        """What the whole set shows: mixed kinds, unusual lengths and languages."""
        if len(self.kinds) > 1:
            usual = self.kinds.most_common(1)[0][0]
            for kind, count in self.kinds.items():
                if kind != usual:
                    problem = f"is the first of {count} rows of kind '{kind}' among '{usual}'"
                    yield Fault(self._origin(self._first[kind]), "kinds", problem)
        yield from self._unusual_lengths()
        for key, language, usual in self._languages.unusual():
            problem = f"is in '{language}', the set in '{usual}'"
            yield Fault(self._origin(key), "language", problem, fatal=False)

    def _copies(self, row: Row, key: int) -> Iterator[Fault]:
        text = whole(row)
        before = self._exact.find(text)
        if before is not None:
            problem = f"says the same as {self._origin(before)}"
            yield Fault(row.origin, "duplicate", problem, fatal=False)
            return
        self._exact.add(text, key)
        if self._near is None:
            return
        signature = self._near.signature(text)
        if found := self._near.find(signature):
            problem = f"says nearly the same as {self._origin(found[0])} ({found[1]:.0%})"
            yield Fault(row.origin, "near-duplicate", problem, fatal=False)
        self._near.add(signature, key)

    def _unusual_lengths(self) -> Iterator[Fault]:
        """Answers whose length is far from the usual: more than five times the usual distance of
        logarithms, and at least four times longer or shorter.
        """
        if len(self._lengths) < LEAST_ROWS:
            return
        logs = [log(1 + length) for length in self._lengths]
        middle = median(logs)
        spread = 1.4826 * median(abs(value - middle) for value in logs)
        bound = max(5 * spread, log(4))
        usual = round(exp(middle) - 1)
        for key, value in enumerate(logs):
            if abs(value - middle) > bound and self._lengths[key]:
                problem = f"its answer has {self._lengths[key]} characters, the usual one {usual}"
                yield Fault(self._origin(key), "length", problem, fatal=False)

    def _remember(self, origin: Origin) -> None:
        if not self._files or self._files[-1] != origin.file:
            self._files.append(origin.file)
        self._origins.append((len(self._files) - 1, origin.line, origin.unit == "row"))

    def _origin(self, key: int) -> Origin:
        file, line, numbered = self._origins[key]
        return Origin(self._files[file], line, "row" if numbered else "line")
