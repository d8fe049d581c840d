"""The conversations at the left, the picker, the help, and what is on a narrow screen."""

from __future__ import annotations

from typing import Any

from oss.contracts.messages import Message
from oss.store import Setup, Store

SETUP = Setup("base", "0" * 64, "fake:one", "scripted", "assistant")


def conversation(store: Store, *exchanges: tuple[str, str]) -> int:
    number = store.create(exchanges[0][0])
    for prompt, answer in exchanges:
        user = Message("user", prompt)
        turn = store.begin_turn(number, user, SETUP)
        store.end_turn(turn, "done", [user, Message("assistant", answer)])
    return number


async def test_search_open_and_go_on(rig: Any) -> None:
    with Store() as store:
        conversation(store, ("про море", "Море солёное."), ("а небо", "Небо синее."))
        conversation(store, ("про горы", "Горы высокие."))
    rig.backend.script.append("дальше")
    async with rig.running() as d:
        await d.shows("про море", "про горы")
        await d.press("ctrl+l")
        await d.type("СИН")
        await d.shows("Небо синее.")
        assert "про горы" not in d.text
        await d.press("enter", "enter")
        await d.shows("Море солёное.")
        # What was found has the focus.
        await d.until(lambda: d.screen.focused is d.screen.turns.last)
        await d.say("ещё")
        await d.shows("дальше")
    sent = rig.backend.engines[-1].requests[-1].messages
    assert "Небо синее." in [m.content for m in sent]
    with Store() as store:
        assert store.conversations()[0].turns == 3


async def test_rename_and_delete(rig: Any) -> None:
    with Store() as store:
        number = conversation(store, ("про море", "Море."))
    async with rig.running() as d:
        await d.shows("про море")
        d.screen.sidebar.shown.focus()
        await d.press("down", "r")
        await d.shows("A new title")
        await d.press("ctrl+u")
        await d.type("океан")
        await d.press("enter")
        await d.shows("океан")
        d.screen.sidebar.shown.focus()
        await d.press("d")
        await d.shows("Delete 'океан' for good?")
        await d.press("n")
        with Store() as store:
            assert store.conversation(number).title == "океан"
        await d.press("d")
        await d.shows("for good?")
        await d.press("y")
        await d.shows("nothing said yet")
    with Store() as store:
        assert store.conversations() == []


async def test_continue_the_last(rig: Any) -> None:
    with Store() as store:
        conversation(store, ("про море", "Море солёное."))
    async with rig.running(go_on=True) as d:
        await d.shows("Море солёное.")


async def test_a_turn_that_was_taken_back_opens_as_a_fork(rig: Any) -> None:
    with Store() as store:
        number = conversation(store, ("раз", "Первое."), ("два", "Второе слово."))
        store.rewind(number, store.turns(number)[0].id)
    async with rig.running() as d:
        await d.press("ctrl+l")
        await d.type("второе")
        await d.shows("Второе слово.")
        await d.press("enter", "enter")
        await d.shows("This was taken back later")
        await d.press("y")
        await d.until(lambda: len(d.screen.turns.views) == 2)
    with Store() as store:
        assert [c.turns for c in store.conversations()] == [2, 1]


async def test_narrow_shows_one_thing_at_a_time(rig: Any) -> None:
    async with rig.running(size=(80, 24)) as d:
        assert "Ask something" in d.text
        await d.press("ctrl+t")
        await d.shows("Profile base")
        assert "Ask something" not in d.text
        await d.press("ctrl+b")
        await d.shows("nothing said yet")
        assert "Profile base" not in d.text
        await d.press("escape")
        await d.shows("Ask something")


async def test_help_says_the_keys_as_they_are(rig: Any) -> None:
    async with rig.running(keys={"new": "ctrl+s"}) as d:
        await d.press("f1")
        await d.shows("ctrl+s", "a new conversation")
        await d.press("escape")
        await d.say("раз")
        await d.press("ctrl+s")
        await d.shows("a new conversation begins")
        assert d.screen.turns.views == []


async def test_the_palette_finds_actions(rig: Any) -> None:
    async with rig.running() as d:
        await d.press("ctrl+p")
        await d.type("two profiles")
        await d.shows("compare")


async def test_compare(rig: Any) -> None:
    rig.home.write(
        "config/profiles/другой.toml",
        'extends = "base"\n[model]\nname = "fake:one"\n[persona]\nsystem = "Другой."',
    )
    async with rig.running() as d:
        rig.backend.script += ["слева ответ", "справа ответ"]
        await d.press("ctrl+g")
        await d.shows("Which profile at the right?")
        await d.type("другой")
        await d.press("enter")
        await d.until(lambda: d.app.screen.sides[1].talk.ready)
        await d.type("вопрос")
        await d.press("enter")
        await d.shows("слева ответ", "справа ответ", "base  fake:one", "другой  fake:one")
        await d.press("escape")
        await d.until(lambda: d.app.screen is d.screen)
    asked = [engine.requests[-1].messages[0].content for engine in rig.backend.engines[-2:]]
    assert asked[1] == "Другой." != asked[0]


async def test_themes(rig: Any) -> None:
    async with rig.running() as d:
        await d.press("f10")
        assert d.app.theme == "oss-light"


async def test_an_answer_follows_the_theme(rig: Any) -> None:
    from oss_plugins.tui.answer import Answer

    rig.backend.script.append("слово\n\n```python\nx = 1\n```")
    async with rig.running() as d:
        await d.say("раз")

        def colours() -> set[str]:
            answer = d.screen.query_one(Answer)
            lines = [answer.render_line(y) for y in range(answer.size.height)]
            return {str(part.style.bgcolor) for line in lines for part in line if part.style}

        before = colours()
        assert len(before) == 2  # of the text, and of the code
        await d.press("f10")
        await d.until(lambda: not colours() & before)
