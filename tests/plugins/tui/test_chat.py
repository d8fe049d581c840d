"""The chat on the screen, over a scripted engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oss.store import Store

if TYPE_CHECKING:
    from conftest import Rig


async def test_a_question_and_its_answer(rig: Rig) -> None:
    rig.backend.script.append("Париж — **столица** Франции.")
    async with rig.running() as d:
        await d.type("Какая столица у Франции?")
        assert "Какая столица у Франции?" in d.text
        await d.press("enter")
        await d.shows("Париж — столица Франции.")
        await d.until(lambda: not d.screen.busy)
    with Store() as store:
        [conversation] = store.conversations()
        [turn] = store.turns(conversation.id)
    assert turn.answer == "Париж — **столица** Франции."
    assert turn.state == "done"
