"""Raw answers of gpt-oss, as specified and as met in the wild; whole and cut into pieces."""

from __future__ import annotations

import pytest

from oss.engines.harmony import HarmonyParser, is_harmony
from support.harmony import CORPUS


def read(pieces: list[str]) -> tuple[str, str, list[tuple[str, str]]]:
    parser = HarmonyParser()
    deltas = [delta for piece in pieces for delta in parser.feed(piece)] + parser.finish()
    calls = [call for delta in deltas for call in delta.tool_calls]
    assert [call.index for call in calls] == list(range(len(calls)))
    return (
        "".join(delta.reasoning for delta in deltas),
        "".join(delta.content for delta in deltas),
        [(call.name or "", call.arguments) for call in calls],
    )


@pytest.mark.parametrize("what", CORPUS)
def test_whole(what: str) -> None:
    raw, *wanted = CORPUS[what]
    assert list(read([raw])) == wanted


@pytest.mark.parametrize("what", CORPUS)
@pytest.mark.parametrize("size", [1, 3, 7])
def test_in_pieces(what: str, size: int) -> None:
    raw, *wanted = CORPUS[what]
    assert list(read([raw[at : at + size] for at in range(0, len(raw), size)])) == wanted


def test_every_cut_is_read() -> None:
    """An answer may end anywhere: no cut raises, and no marker is shown."""
    for raw, *_ in CORPUS.values():
        for end in range(len(raw)):
            _, content, _ = read([raw[:end]])
            assert "<|message|>" not in content
            assert "<|channel|>" not in content


def test_text_is_not_held_back() -> None:
    parser = HarmonyParser()
    parser.feed("<|channel|>final<|message|>")
    assert [delta.content for delta in parser.feed("at once")] == ["at once"]


def test_templates_are_told_apart() -> None:
    assert is_harmony("{{ '<|start|>assistant<|channel|>final<|message|>' }}")
    assert not is_harmony("{{ '<|im_start|>assistant' }}")
