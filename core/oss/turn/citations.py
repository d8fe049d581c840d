"""The ``[n]`` of an answer, checked against the passages it was given."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from oss.turn.attribution import attribute
from oss.turn.events import Cited

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.contracts.retriever import Passage
    from oss.store import Turn

_MARK = re.compile(r"\[\s*\d{1,3}(?:\s*[,;]\s*\d{1,3})*\s*\]")
_BEGUN = re.compile(r"\[[\s\d,;]{0,40}$")
_NUMBER = re.compile(r"\d+")


def cited_by(turn: Turn) -> Cited | None:
    """What the answer of a past turn cited; ``None`` where it had no passages, or was not whole."""
    if not turn.passages or turn.state != "done":
        return None
    marks = CitationFilter(turn.passages)
    marks.feed(turn.answer)
    marks.end()
    return marks.event(turn.answer)


class CitationFilter:
    """Lets an answer through as it comes, without marks of passages that there are not.

    An unknown number right behind a word or a bracket may be an index (``a[0]``) and stays; code
    between backticks is left alone altogether.

    :param passages: those that the model was given; may grow while it answers.
    :ivar cited: numbers of passages that the answer cites, in the order of their first mark.
    :ivar removed: marks that were taken out.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages = passages
        self.cited: list[int] = []
        self.removed: list[str] = []
        self._waiting = ""
        self._before = " "
        self._in_code = False

    def feed(self, text: str) -> str:
        """What of the answer may be shown now; a mark that is not complete waits."""
        text = self._waiting + text
        begun = None if self._in_code else _BEGUN.search(text)
        self._waiting = text[begun.start() :] if begun else ""
        return self._through(text[: begun.start()] if begun else text)

    def end(self) -> str:
        """What was still waiting."""
        text, self._waiting = self._waiting, ""
        return self._through(text)

    def event(self, answer: str) -> Cited:
        """What the answer cited, or what its words point to where it cited nothing."""
        passages = tuple(self.passages)
        attributed = () if self.cited else attribute(answer, passages)
        return Cited(passages, tuple(self.cited), tuple(self.removed), attributed)

    def _through(self, text: str) -> str:
        passed = []
        position = 0
        while position < len(text):
            match = None
            character = text[position]
            if character == "`":
                self._in_code = not self._in_code
            elif character == "[" and not self._in_code:
                match = _MARK.match(text, position)
            if match is None:
                passed.append(character)
                self._before = character
                position += 1
                continue
            mark = self._checked(match.group())
            if mark:
                passed.append(mark)
            elif passed and passed[-1] == " " and text[match.end() : match.end() + 1] in ".,;:!? ":
                passed.pop()  # no space left over where the mark was
            position = match.end()
        return "".join(passed)

    def _checked(self, mark: str) -> str:
        numbers = [int(found) for found in _NUMBER.findall(mark)]
        known = [number for number in numbers if 1 <= number <= len(self.passages)]
        self.cited += [n for n in dict.fromkeys(known) if n not in self.cited]
        index = len(known) < len(numbers) and (self._before.isalnum() or self._before in "_)]")
        self._before = "]" if index else " "
        if index or len(known) == len(numbers):
            return mark
        self.removed.append(mark)
        return f"[{', '.join(map(str, known))}]" if known else ""
