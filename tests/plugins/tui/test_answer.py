"""Markdown on the screen, line by line: whole, as it grows, and at another width."""

from __future__ import annotations

from typing import Any

import pytest
from textual.app import App
from textual.containers import VerticalScroll
from textual.content import Content

from oss_plugins.tui.answer import Answer
from oss_plugins.tui.markdown import code_blocks, inline, parser

TEXT = """# Заголовок

Абзац с **жирным**, `кодом` и [ссылкой](http://x.org); он перенесётся на другую строку экрана.

- первый
- второй
  - вложенный

1. раз

   ```python
   x = 1
   ```

> цитата
>
> - в ней

| имя | значение |
|---|---|
| альфа | очень длинное значение, которое не войдёт |
| бета |

---
Конец <div>.
"""
SHOWN = """Заголовок

Абзац с жирным, кодом и ссылкой; он
перенесётся на другую строку экрана.

• первый
• второй
  ◦ вложенный

1. раз

    x = 1

▌ цитата
▌
▌ • в ней

имя   │ значение
──────┼───────────────────────────────
альфа │ очень длинное значение,
      │ которое не войдёт
бета  │

──────────────────────────────────────

Конец <div>."""


class Shell(App[None]):
    CSS = "VerticalScroll { scrollbar-size-vertical: 0; }"

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer

    def compose(self) -> Any:
        with VerticalScroll():
            yield self.answer


def lines(answer: Answer) -> str:
    height = answer.size.height
    return "\n".join(answer.render_line(y).text.rstrip() for y in range(height))


async def test_whole() -> None:
    shell = Shell(Answer(TEXT, lambda: 0))
    async with shell.run_test(size=(42, 50)):
        assert lines(shell.answer) == SHOWN
        width = shell.answer.size.width
        height = shell.answer.size.height
        assert {shell.answer.render_line(y).cell_length for y in range(height)} == {width}


@pytest.mark.parametrize("step", [1, 5, 64])
async def test_what_grew_is_as_what_was_there(step: int) -> None:
    shell = Shell(Answer("", lambda: 0))
    async with shell.run_test(size=(42, 50)) as pilot:
        for at in range(0, len(TEXT), step):
            shell.answer.grow(TEXT[at : at + step])
            if at % 3 == 0:
                await pilot.pause(0)
        await pilot.pause()
        assert lines(shell.answer) == SHOWN


async def test_another_width() -> None:
    shell = Shell(Answer(TEXT, lambda: 0))
    async with shell.run_test(size=(90, 50)) as pilot:
        assert lines(shell.answer) != SHOWN
        await pilot.resize_terminal(42, 50)
        await pilot.pause()
        assert lines(shell.answer) == SHOWN


async def test_what_the_mouse_selects() -> None:
    shell = Shell(Answer("раз два\n\nтри", lambda: 0))
    async with shell.run_test(size=(42, 10)) as pilot:
        await pilot.mouse_down(offset=(6, 0))
        await pilot.hover(offset=(5, 2))
        await pilot.mouse_up(offset=(5, 2))
        assert shell.screen.get_selected_text() == "два\n\nтри"


def test_only_passages_that_are_there_are_cited() -> None:
    tokens = parser().parse("[1] и [2], [3](x)", {"passages": 1})
    content = inline(tokens[1])
    assert isinstance(content, Content)
    assert content.plain == "[1] и [2], 3"
    linked = [content.plain[span.start : span.end] for span in content.spans]
    assert linked == ["[1]", "3"]


def test_code_blocks() -> None:
    assert code_blocks("a\n\n```py\nx\n```\n- b\n\n      y\n") == ["x\n", "y\n"]
