"""What came of a running turn and is not on the screen yet."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from oss.turn.events import Event, Reasoning, Text

if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST_S = 0.04
"""Between two paintings: 25 a second are smooth for text."""
REST = 10
"""A painting that takes a time is followed by this many times of rest: a key that is pressed waits
for no painting."""
REST_BESIDE_ENGINE = 40
"""The same where an engine in this process keeps the processors busy: what painting takes of them,
the answer loses."""
BUSY = 0.6
"""The part of all processors from which on that is so."""
LONGEST_S = 0.5


class Feed:
    """Collects events between two paintings. Pieces of text that follow each other become one.

    :param wake: called, not more often than the screen can keep up with, when something came.
    """

    def __init__(self, wake: Callable[[float], None]) -> None:
        self._wake = wake
        self._waiting: list[Event] = []
        self._awake = False
        self._not_before = 0.0
        self._seen = time.monotonic(), time.process_time()

    def put(self, event: Event) -> None:
        """Take an event of the turn."""
        self._waiting.append(event)
        if not self._awake:
            self._awake = True
            self._wake(max(0.0, self._not_before - time.monotonic()))

    def take(self) -> list[Event]:
        """What came since the last call."""
        self._awake = False
        waiting, self._waiting = self._waiting, []
        return list(_joined(waiting))

    def painted(self, took_s: float) -> None:
        """Say how long the processor took to bring the last ones to the screen."""
        (then, used_then), self._seen = self._seen, (time.monotonic(), time.process_time())
        now, used = self._seen
        busy = (used - used_then) / max(now - then, 1e-3) / (os.cpu_count() or 1)
        rest = took_s * (REST_BESIDE_ENGINE if busy > BUSY else REST)
        self._not_before = now + min(max(SHORTEST_S, rest), LONGEST_S)


def _joined(events: list[Event]) -> list[Event]:
    joined: list[Event] = []
    pieces: list[str] = []
    kind: type[Text] | type[Reasoning] | None = None
    for event in events:
        if kind is not None and type(event) is not kind:
            joined.append(kind("".join(pieces)))
            pieces, kind = [], None
        if isinstance(event, Text | Reasoning):
            kind = type(event)
            pieces.append(event.text)
        else:
            joined.append(event)
    if kind is not None:
        joined.append(kind("".join(pieces)))
    return joined
