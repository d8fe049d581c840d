from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oss.contracts.chat import Delta
from oss.engines.thinking import (
    ThinkParser,
    held_back,
    knows_thinking,
    opens_thinking,
    parted,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


def read(pieces: list[str], *, opened: bool = False) -> tuple[str, str]:
    parser = ThinkParser(opened=opened)
    deltas = [delta for piece in pieces for delta in parser.feed(piece)] + parser.finish()
    return "".join(d.reasoning for d in deltas), "".join(d.content for d in deltas)


CASES = [
    ("<think>Хм.</think>Да.", False, ("Хм.", "Да.")),
    ("\n<think>\nHm.\n</think>\n\nYes.\n", False, ("Hm.", "Yes.\n")),
    ("Hm.\n</think>\n\nYes.", True, ("Hm.", "Yes.")),
    ("<think></think>Yes.", False, ("", "Yes.")),
    ("[THINK]Hm.[/THINK]Yes.", False, ("Hm.", "Yes.")),
    ("No thought: <think> is a tag.", False, ("", "No thought: <think> is a tag.")),
    ("<think>never closed", False, ("never closed", "")),
    ("<thin", False, ("", "<thin")),
    ("  <b>bold</b>", False, ("", "  <b>bold</b>")),
    ("a < b </think", True, ("a < b </think", "")),
    ("", False, ("", "")),
]


@pytest.mark.parametrize(("raw", "opened", "wanted"), CASES)
@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_thought_and_answer(raw: str, opened: bool, wanted: tuple[str, str], size: int) -> None:
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
    assert read(pieces, opened=opened) == wanted


def test_prompts_that_open_a_thought() -> None:
    assert opens_thinking("<|im_start|>assistant\n<think>\n")
    assert not opens_thinking("<|im_start|>assistant\n")


def test_held_back() -> None:
    assert held_back("abc<th", "<think>") == 3
    assert held_back("abc", "<think>") == 0
    assert held_back("<think>", "<think>") == 0


async def stream(*deltas: Delta) -> AsyncGenerator[Delta, None]:
    for delta in deltas:
        yield delta


async def test_an_engine_that_parts_thoughts_itself_is_left_alone() -> None:
    given = (Delta(reasoning="Хм."), Delta(content="a </think> b"), Delta(finish_reason="stop"))
    assert tuple([d async for d in parted(stream(*given), opened=True)]) == given


async def test_an_engine_that_does_not_is_helped() -> None:
    given = (Delta(content="Hm.</think>"), Delta(content="Yes"), Delta(finish_reason="stop"))
    assert [d async for d in parted(stream(*given), opened=True)] == [
        Delta(reasoning="Hm."),
        Delta(content="Yes"),
        Delta(finish_reason="stop"),
    ]


def test_templates_that_write_thoughts() -> None:
    assert knows_thinking("{{ '<think>' }}")
    assert not knows_thinking("{{ 'I think' }}")
