"""Parts a model's thinking from its answer where both come as one text with tags."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from oss.contracts.chat import Delta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

TAGS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<seed:think>", "</seed:think>"),
)
"""What thinking is put between by the models known; the first is by far the commonest."""


def opens_thinking(prompt: str) -> bool:
    """Whether a prompt ends in an opened thought, as some templates have it."""
    return prompt.rstrip().endswith(tuple(opening for opening, _ in TAGS))


def knows_thinking(template: str) -> bool:
    """Whether a chat template writes thoughts between tags."""
    return any(opening in template for opening, _ in TAGS)


async def parted(
    deltas: AsyncGenerator[Delta, None], *, opened: bool
) -> AsyncGenerator[Delta, None]:
    """Deltas whose content may begin with a thought, with the thought apart.

    Where the engine parts them itself, the first text comes as reasoning: then nothing is done.
    """
    parser: ThinkParser | None = None
    done = False
    async with aclosing(deltas):
        async for delta in deltas:
            if parser is None and delta.reasoning:
                done = True
            if done or not (delta.content or delta.finish_reason):
                yield delta
                continue
            parser = parser or ThinkParser(opened=opened)
            for piece in parser.feed(delta.content):
                yield piece
            if delta.finish_reason is not None:
                for piece in parser.finish():
                    yield piece
            if (rest := replace(delta, content="")) != Delta():
                yield rest


class ThinkParser:
    """Splits a streamed answer that may begin with a thought.

    A tag later in the answer is text: a model may well write about tags.

    :param opened: the prompt already ends in the opening tag.
    """

    def __init__(self, *, opened: bool = False) -> None:
        self._pending = ""
        self._closings: Sequence[str] = [closing for _, closing in TAGS] if opened else ()
        self._state = "thought" if opened else "start"
        self._fresh = True

    def feed(self, text: str) -> list[Delta]:
        """What a further piece of the answer brings."""
        self._pending += text
        found: list[Delta] = []
        if self._state == "start":
            self._start()
        if self._state == "thought":
            self._thought(found)
        if self._state == "answer":
            self._answer(found)
        return found

    def finish(self) -> list[Delta]:
        """What was held back when the answer ended."""
        rest, self._pending = self._pending, ""
        if not rest:
            return []
        return [Delta(reasoning=rest) if self._state == "thought" else Delta(content=rest)]

    def _start(self) -> None:
        begun = self._pending.lstrip()
        for opening, closing in TAGS:
            if begun.startswith(opening):
                self._pending = begun[len(opening) :]
                self._closings = [closing]
                self._state = "thought"
                return
        if begun and not any(opening.startswith(begun) for opening, _ in TAGS):
            self._state = "answer"
            self._fresh = False  # no thought before it: its spaces are its own

    def _thought(self, found: list[Delta]) -> None:
        if self._fresh:
            self._pending = self._pending.lstrip("\n")
            self._fresh = not self._pending
        for closing in self._closings:
            thought, tag, answer = self._pending.partition(closing)
            if tag:
                if thought.rstrip("\n"):
                    found.append(Delta(reasoning=thought.rstrip("\n")))
                self._pending = answer
                self._state = "answer"
                self._fresh = True
                return
        kept = max(held_back(self._pending, closing) for closing in self._closings)
        ready = self._pending[: len(self._pending) - kept].rstrip("\n")
        self._pending = self._pending[len(ready) :]
        if ready:
            found.append(Delta(reasoning=ready))

    def _answer(self, found: list[Delta]) -> None:
        if self._fresh:
            self._pending = self._pending.lstrip("\n")
            self._fresh = not self._pending
        if self._pending:
            found.append(Delta(content=self._pending))
            self._pending = ""


def held_back(text: str, marker: str) -> int:
    """How many characters at the end of ``text`` may be the beginning of ``marker``."""
    for count in range(min(len(text), len(marker) - 1), 0, -1):
        if text.endswith(marker[:count]):
            return count
    return 0
