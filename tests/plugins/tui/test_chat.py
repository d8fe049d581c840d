"""The chat on the screen, over a scripted engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.errors import BackendError
from oss.contracts.messages import ToolCall
from oss.contracts.retriever import Passage
from oss.store import Store
from oss.testing.fakes import FakeAnswer, FakeTool
from oss_plugins.tui.history import SHOWN

if TYPE_CHECKING:
    from oss.testing.program import OssHome


def kept() -> list[Any]:
    with Store() as store:
        return [store.turns(c.id) for c in store.conversations()]


async def test_a_question_and_its_answer(rig: Any) -> None:
    rig.backend.script.append("Париж — **столица** Франции.")
    async with rig.running() as d:
        await d.type("Какая столица у Франции?")
        assert "Какая столица у Франции?" in d.text
        await d.press("enter")
        await d.shows("Париж — столица Франции.")
        await d.until(lambda: not d.screen.busy)
    [[turn]] = kept()
    assert (turn.answer, turn.state) == ("Париж — **столица** Франции.", "done")


async def test_keys_typed_fast_are_sent_whole(rig: Any) -> None:
    async with rig.running() as d:
        # Without a pause between them, as a terminal hands over what was typed ahead.
        for key in ("п", "р", "и", "enter"):
            d.app.simulate_key(key)
        await d.until(lambda: d.screen.turns.last and not d.screen.busy)
        assert d.screen.turns.last.record.prompt == "при"


async def test_several_lines_and_history(rig: Any) -> None:
    async with rig.running() as d:
        await d.type("раз\nдва")
        await d.press("enter")
        await d.until(lambda: not d.screen.busy)
        assert kept()[0][0].prompt == "раз\nдва"
        await d.type("черновик")
        await d.press("up")
        assert d.screen.prompt.text == "раз\nдва"
        await d.press("down", "down")
        assert d.screen.prompt.text == "черновик"
    async with rig.running() as d:  # the history is there in the next run
        await d.press("up")
        assert d.screen.prompt.text == "раз\nдва"


async def test_stop_keeps_what_came(rig: Any) -> None:
    rig.backend.script.append(FakeAnswer("слово " * 400, delay_s=0.01))
    async with rig.running() as d:
        d.screen.prompt.set_text("долго")
        await d.press("enter")
        await d.shows("слово слово")
        await d.type("пишу дальше")  # typing goes on while it streams
        assert "пишу дальше" in d.text
        await d.press("escape")
        await d.shows("stopped; what came is kept")
    [[turn]] = kept()
    assert turn.state == "cancelled"
    assert turn.answer.startswith("слово слово")


async def test_closing_in_mid_answer_keeps_what_came(rig: Any) -> None:
    rig.backend.script.append(FakeAnswer("слово " * 400, delay_s=0.01))
    async with rig.running() as d:
        d.screen.prompt.set_text("долго")
        await d.press("enter")
        await d.shows("слово слово")
        await d.press("ctrl+q")
        await d.until(lambda: d.app._exit)
    [[turn]] = kept()
    assert turn.state == "cancelled"
    assert turn.answer.startswith("слово")


async def test_errors_appear_in_place_and_the_chat_goes_on(rig: Any) -> None:
    lost = BackendError("the server went away", hint="start it again")
    rig.backend.script += [FakeAnswer("нача", error=lost), FakeAnswer(error=ValueError("ой")), "да"]
    async with rig.running() as d:
        await d.say("раз")
        await d.shows("нача", "✗ the server went away", "→ start it again")
        await d.say("два")
        await d.shows("ValueError: ой", "a fault in the program")
        await d.say("три")
        await d.shows("да")
    assert "ValueError: ой" in (rig.home.cache / "tui-fault.txt").read_text()
    [[first, second, third]] = kept()
    assert [t.state for t in (first, second, third)] == ["failed", "failed", "done"]


async def test_a_full_context_is_said_in_place(rig: Any) -> None:
    async with rig.running(sets=("model.context=300", 'memory.overflow="refuse"')) as d:
        rig.backend.context = 300
        await d.say("слово " * 400)
        await d.shows("✗ the prompt has", "→")
        await d.say("короче")
        await d.until(lambda: d.screen.turns.last.record.state == "done")


async def test_a_model_that_cannot_be_opened(rig: Any) -> None:
    rig.backend.fails = BackendError("no memory left", hint="take a smaller one")
    async with rig.running() as d:
        await d.say("раз")
        await d.shows("✗ no memory left", "→ take a smaller one")
        rig.backend.fails = None
        await d.say("два")
        await d.until(lambda: d.screen.turns.last.record.answer)


async def test_reasoning_is_folded(rig: Any) -> None:
    rig.backend.script.append(FakeAnswer("42", reasoning="шесть на семь"))
    async with rig.running() as d:
        await d.say("сколько")
        await d.shows("▶ thoughts", "42")
        assert "шесть" not in d.text
        await d.press("ctrl+up", "t")
        await d.shows("▼ thoughts", "шесть на семь")


async def test_edit_regenerate_fork(rig: Any) -> None:
    rig.backend.script += ["первый", "второй", "иначе", "снова", "вбок"]
    async with rig.running() as d:
        await d.say("один")
        await d.say("два")
        await d.press("ctrl+up", "e")
        assert d.screen.prompt.text == "два"
        await d.type("!")
        await d.press("enter")
        await d.until(lambda: not d.screen.busy)
        await d.shows("иначе")
        assert "второй" not in d.text
        await d.press("ctrl+r")
        await d.until(lambda: not d.screen.busy and "снова" in d.text)
        [[one, two]] = kept()
        assert (one.prompt, two.prompt, two.answer) == ("один", "два!", "снова")
        await d.press("ctrl+up", "up", "f")
        await d.until(lambda: len(d.screen.turns.views) == 1)
        await d.say("три")
        await d.shows("вбок")
    assert [[t.prompt for t in turns] for turns in kept()] == [["один", "три"], ["один", "два!"]]
    sent = rig.backend.engines[0].requests[-1].messages
    assert [m.content for m in sent if m.role == "user"] == ["один", "три"]


async def test_copy_an_answer_and_a_code_block(rig: Any) -> None:
    rig.backend.script.append("Вот:\n\n```python\nx = 1\n```\n\n```\ny\n```\n")
    async with rig.running() as d:
        await d.say("код")
        await d.press("ctrl+up", "c")
        assert d.app.clipboard.startswith("Вот:")
        await d.press("k")
        await d.shows("Copy which block?")
        await d.press("down", "enter")
        await d.until(lambda: d.app.clipboard == "y\n")


async def test_consent(rig: Any) -> None:
    tool = rig.tools["risky"] = FakeTool("risky", "сделано", safe=False)
    call = FakeAnswer(tool_calls=(ToolCall("1", "risky", '{"путь": "а.txt"}'),))
    rig.backend.script += [call, "нет так нет", call, "готово", call, "и снова"]
    async with rig.running(sets=('tools.allow=["risky"]',)) as d:
        d.screen.prompt.set_text("раз")
        await d.press("enter")
        await d.shows("The model asks to run risky", '"путь": "а.txt"')
        await d.press("n")
        await d.shows("нет так нет", "the user refused")
        assert tool.calls == []
        await d.until(lambda: not d.screen.busy)
        d.screen.prompt.set_text("два")
        await d.press("enter")
        await d.shows("The model asks to run risky")
        await d.press("a")
        await d.shows("готово")
        await d.until(lambda: not d.screen.busy)
        await d.say("три")
        await d.shows("и снова")
    assert len(tool.calls) == 2


async def test_passages_and_citations(rig: Any) -> None:
    class Found:
        async def search(self, query: str, k: int = 5, where: object = None) -> list[Passage]:
            return [Passage("Мьютекс — это замок.", "заметки.md", (3, 9), 0.75)]

    rig.retrievers["docs"] = Found()
    rig.backend.script.append("Замок [1], но не [2].")
    sets = ('retriever.name="docs"', "retriever.rewrite=false")
    async with rig.running(size=(140, 40), sets=sets) as d:
        await d.say("что это")
        await d.shows("1 passage of your documents", "[1] заметки.md", "0.750")
        await d.until(lambda: "Замок [1]" in d.text)
        await d.shows("sources:", "taken out, for there are no such passages: [2]")
        lines = d.text.splitlines()
        row = next(i for i, line in enumerate(lines) if "Замок [1]" in line)
        column = lines[row].index("[1]") + 1
        await d.pilot.click(offset=(column, row))
        await d.shows("Мьютекс — это замок.", "Esc: close")


async def test_sources_stand_under_the_answer(rig: Any) -> None:
    passages = [
        Passage(
            "Мьютекс — это замок.", "заметки.md", (3, 9), 0.75, {"line": 7, "heading": "Замки"}
        ),
        Passage("A semaphore counts.", "counts.md", (0, 4), 0.5),
    ]

    class Found:
        async def search(self, query: str, k: int = 5, where: object = None) -> list[Passage]:
            return passages

    rig.retrievers["docs"] = Found()
    rig.backend.script += ["Замок [1].", "Мьютекс — это замок.", "Не знаю."]
    sets = ('retriever.name="docs"', "retriever.rewrite=false")
    async with rig.running(size=(100, 50), sets=sets) as d:
        await d.say("что это")
        await d.shows("sources:", "[1] заметки.md:7 Замки  0.750")
        await d.say("своими словами")
        await d.shows("sources by their words (the answer cites none):")
        await d.say("а ещё")
        await d.shows("the answer cites none of what it was given:", "[2] counts.md  0.500")
        link = d.screen.query("TurnView Link").last()
        link.focus()
        await d.press("enter")
        await d.shows("A semaphore counts.", "Esc: close")


async def test_injected_markup_is_shown_as_it_is(rig: Any) -> None:
    rig.backend.script.append("<b>жирно</b> [red]красно[/red] \x1b[31mопасно\x07")
    async with rig.running() as d:
        await d.say("[bold]вопрос[/bold]")
        await d.shows("[bold]вопрос[/bold]", "<b>жирно</b> [red]красно[/red] [31mопасно")


async def test_adapter_sliders_change_the_next_request(rig: Any) -> None:
    path = rig.home.cwd / "style.gguf"
    path.write_bytes(b"GGUF")
    async with rig.running(size=(140, 40), adapters=(f"{path}:1",)) as d:
        await d.say("раз")
        await d.shows("Adapters", "style  1.0")
        from oss_plugins.tui.slider import Slider

        width = d.screen.query_one(Slider).size.width
        await d.pilot.mouse_down(Slider, offset=(width - 2, 1))
        await d.shows("style  2.0")
        await d.pilot.hover(Slider, offset=((width - 2) // 2, 1))
        await d.pilot.mouse_up(Slider, offset=((width - 2) // 2, 1))
        await d.shows("style  1.0")
        d.screen.query_one(Slider).focus()
        await d.press("left", "left")
        await d.shows("style  0.8")
        await d.say("два")
    first, second = rig.backend.engines[0].requests
    assert first.adapter_scales == {}
    assert second.adapter_scales == {"style": pytest.approx(0.8)}


async def test_switching_in_the_middle(rig: Any, oss_home: OssHome) -> None:
    oss_home.write("config/profiles/мой.toml", 'extends = "base"\n[persona]\nsystem = "Кратко."')
    rig.backend.script += ["раз", "два", "три"]
    async with rig.running() as d:
        await d.say("один")
        await d.press("f3")
        await d.shows("Go on with which persona?")
        await d.type("critic")
        await d.press("enter")
        await d.until(lambda: d.screen.talk.made.persona == "critic")
        await d.say("два")
        assert len(rig.backend.engines) == 1  # the model is not loaded again
        await d.say("/profile нет")
        await d.shows("✗ unknown profile 'нет'", "→")
        await d.say("/model fake:two")
        await d.until(lambda: d.screen.talk.made.choice.model.name == "fake:two")
        await d.say("три")
    assert len(rig.backend.engines) == 2
    last = rig.backend.engines[1].requests[-1].messages
    assert [m.content for m in last[-5:]] == ["один", "раз", "два", "два", "три"]
    assert [t.setup.persona for t in kept()[0]] == ["assistant", "critic", "critic"]


async def test_commands_of_the_chat(rig: Any, oss_home: OssHome) -> None:
    (oss_home.cwd / "данные.txt").write_text("тайна 42", encoding="utf-8")
    async with rig.running() as d:
        await d.say("/hlep")
        await d.shows("there is no command /hlep", "did you mean /help?")
        await d.type("/fi")
        await d.press("tab")
        assert d.screen.prompt.text == "/file "
        await d.type("данные.txt")
        await d.press("enter")
        await d.shows("with the next prompt: данные.txt", "+1 file")
        await d.say("что там")
        assert "тайна 42" in rig.backend.engines[0].requests[-1].messages[-1].content
        await d.say("/undo")
        await d.until(lambda: not d.screen.turns.views)
        await d.say("/system")
        await d.shows("Esc: close")


async def test_nothing_is_kept_when_asked(rig: Any) -> None:
    async with rig.running(keep=False) as d:
        await d.say("раз")
        await d.shows("not kept")
        await d.say("два")
        await d.press("ctrl+r")
        await d.until(lambda: not d.screen.busy and len(d.screen.turns.views) == 2)
    assert kept() == []


async def test_what_is_no_longer_shown_is_freed(rig: Any) -> None:
    import gc

    from textual._styles_cache import StylesCache
    from textual.widget import Widget

    from oss_plugins.tui.answer import Answer

    def alive(kind: type = Answer) -> int:
        gc.collect()
        return sum(isinstance(one, kind) for one in gc.get_objects())

    async with rig.running() as d:
        for number in range(45):
            await d.say(f"вопрос {number}")
        # At most twice what is shown, however long it goes on.
        assert len(d.screen.turns.views) <= alive() <= 2 * SHOWN + 2
        assert alive(StylesCache) < 1.5 * alive(Widget)  # the drawn lines of a widget
        older = d.screen.turns._older
        assert all(record.events == [] for record in older)
        assert len(older) + len(d.screen.turns.views) == 45


async def test_long_conversations_stay_small(rig: Any) -> None:
    async with rig.running() as d:
        for number in range(40):
            await d.say(f"вопрос {number}")
        assert len(d.screen.turns.views) < 40
        await d.shows("вопрос 39")
        await d.screen.turns.show_earlier()
        await asyncio.sleep(0)
        assert d.screen.turns.views[0].record.prompt != "вопрос 39"
        prompts = [v.record.prompt for v in d.screen.turns.views]
        assert prompts == [f"вопрос {n}" for n in range(40 - len(prompts), 40)]


async def test_a_name_goes_before_what_descriptions_say(rig: Any) -> None:
    from oss_plugins.tui.dialogs import Item, Pick

    items = [Item("coder", "working code first"), Item("work"), Item("base")]
    async with rig.running() as d:
        chosen: list[str | None] = []
        d.app.push_screen(Pick("Which?", items, current="coder"), chosen.append)
        await d.shows("working code first")
        await d.type("work")
        await d.press("enter")
        assert chosen == ["work"]
