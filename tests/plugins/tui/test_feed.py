"""How often the screen is painted while an answer comes."""

from __future__ import annotations

import os
import time

import pytest

from oss.turn.events import Notice, Reasoning, Text
from oss_plugins.tui import feed
from oss_plugins.tui.feed import Feed


def test_pieces_that_follow_each_other_become_one() -> None:
    waits: list[float] = []
    fed = Feed(waits.append)
    for event in (Reasoning("a"), Reasoning("b"), Text("c"), Text("d"), Notice("e"), Text("f")):
        fed.put(event)
    assert fed.take() == [Reasoning("ab"), Text("cd"), Notice("e"), Text("f")]
    assert waits == [0.0]  # woken once, and at once: nothing was painted yet
    assert fed.take() == []


@pytest.mark.parametrize(
    ("took", "used", "wait"),
    [
        (0.001, 0.0, feed.SHORTEST_S),
        (0.01, 0.1, 0.01 * feed.REST),  # a server answers: a tenth of one processor is used
        (0.01, 0.95, 0.01 * feed.REST_BESIDE_ENGINE),  # an engine is at work in this process
        (1.0, 0.95, feed.LONGEST_S),
    ],
)
def test_a_painting_is_followed_by_rest(
    monkeypatch: pytest.MonkeyPatch, took: float, used: float, wait: float
) -> None:
    now, cpu = 100.0, 7.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "process_time", lambda: cpu)
    waits: list[float] = []
    fed = Feed(waits.append)
    now, cpu = now + 2.0, cpu + 2.0 * used * (os.cpu_count() or 1)
    fed.painted(took)
    fed.put(Text("x"))
    assert waits == [pytest.approx(wait)]
