"""The main screens as pictures, at two sizes; `pytest --snapshot-update` after a wanted change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.chat import Timings, Usage
from oss.contracts.messages import Message
from oss.contracts.retriever import Passage
from oss.store import Setup, Store

if TYPE_CHECKING:
    from textual.pilot import Pilot

SIZES = [(132, 38), (80, 24)]
NAMES = ["wide", "narrow"]
ANSWER = "Это **замок** [1].\n\n```python\nwith lock:\n    x += 1\n```\n\n- раз\n- *два*\n"


@pytest.fixture
def filled(rig: Any) -> Any:
    setup = Setup("base", "0" * 64, "fake:one", "scripted", "assistant")
    with Store() as store:
        number = store.create("Что такое мьютекс?")
        user = Message("user", "Что такое мьютекс?")
        store.end_turn(
            store.begin_turn(number, user, setup),
            "done",
            [user, Message("assistant", ANSWER, reasoning="думаю")],
            passages=[Passage("Мьютекс — это замок.", "заметки.md", (0, 20), 0.75)],
            finish_reason="stop",
            usage=Usage(412, 96, 318),
            timings=Timings(0.0, 0.31, 0.31, 2.0),
        )
    return rig


def still(screen: Any) -> None:
    """Cursors that do not blink."""
    for area in screen.query("TextArea, Input"):
        area.cursor_blink = False


def ready(*keys: str) -> Any:
    async def run(pilot: Pilot[Any]) -> None:
        screen: Any = pilot.app.screen
        for _ in range(500):
            await pilot.pause(0.02)
            if screen.opened.is_set() and not screen.app.workers._workers:
                break
        still(screen)  # before a dialog covers it: a covered cursor stays as it happens to be
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.2)
        still(pilot.app.screen)
        await pilot.pause(0.2)

    return run


@pytest.mark.parametrize("size", SIZES, ids=NAMES)
def test_chat(filled: Any, snap_compare: Any, size: tuple[int, int]) -> None:
    app = filled.app(conversation=1)
    assert snap_compare(app, terminal_size=size, run_before=ready())


@pytest.mark.parametrize("size", SIZES, ids=NAMES)
def test_pick_a_persona(filled: Any, snap_compare: Any, size: tuple[int, int]) -> None:
    app = filled.app(conversation=1)
    assert snap_compare(app, terminal_size=size, run_before=ready("f3"))


def test_light(filled: Any, snap_compare: Any) -> None:
    app = filled.app(conversation=1, theme="oss-light")
    assert snap_compare(app, terminal_size=SIZES[0], run_before=ready())


def test_without_colour(filled: Any, snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = filled.app(conversation=1)
    assert snap_compare(app, terminal_size=SIZES[1], run_before=ready())
