"""Marks of an answer, checked while it streams."""

from __future__ import annotations

import random

import pytest

from oss.contracts.retriever import Passage
from oss.turn.citations import CitationFilter

TWO = [Passage("a", "a.md"), Passage("b", "b.md")]


def through(text: str, sizes: random.Random | None = None) -> tuple[str, CitationFilter]:
    checked = CitationFilter(TWO)
    shown, at = "", 0
    while at < len(text):
        step = sizes.randint(1, 4) if sizes else len(text)
        shown += checked.feed(text[at : at + step])
        at += step
    return shown + checked.end(), checked


@pytest.mark.parametrize(
    ("answer", "shown", "cited", "removed"),
    [
        ("It is so [1]. And so [2].", "It is so [1]. And so [2].", [1, 2], []),
        ("See [2][1][2].", "See [2][1][2].", [2, 1], []),
        ("See [1, 2] and [1; 2].", "See [1, 2] and [1; 2].", [1, 2], []),
        ("So it is [3].", "So it is.", [], ["[3]"]),
        ("So it is [1, 7].", "So it is [1].", [1], ["[1, 7]"]),
        ("Zero [0] and [99].", "Zero and.", [], ["[0]", "[99]"]),
        ("Use `a[5]` and x[4] and m[0][3].", "Use `a[5]` and x[4] and m[0][3].", [], []),
        ("```\nrows[9] = [7]\n``` [2]", "```\nrows[9] = [7]\n``` [2]", [2], []),
        ("A word[1], a list [] and [note].", "A word[1], a list [] and [note].", [1], []),
        ("Лимит десять [2]", "Лимит десять [2]", [2], []),
        ("open [1", "open [1", [], []),
        ("", "", [], []),
    ],
)
def test_unknown_marks_go_the_rest_stays(
    answer: str, shown: str, cited: list[int], removed: list[str]
) -> None:
    text, checked = through(answer)
    assert (text, checked.cited, checked.removed) == (shown, cited, removed)


@pytest.mark.parametrize("seed", range(20))
def test_pieces_do_not_matter(seed: int) -> None:
    answer = "So [1] and [2, 5], `x[3]`, y[7] but [4] never.[2] End [1"
    whole, checked = through(answer)
    text, streamed = through(answer, random.Random(seed))
    assert (streamed.cited, streamed.removed) == (checked.cited, checked.removed)
    assert " ".join(text.split()) == " ".join(whole.split())


def test_passages_that_come_later_may_be_cited() -> None:
    passages = [TWO[0]]
    checked = CitationFilter(passages)
    assert checked.feed("so [2] ") == "so "
    passages.append(TWO[1])
    assert checked.feed("so [2]") == "so [2]"
    assert checked.event("so [2]").numbers == (2,)


HOUSE = [
    Passage("Parcels leave the warehouse every weekday at noon.", "shipping.md"),
    Passage("Visitors park on level three. The gate code is 4711.", "parking.md"),
    Passage("Книги выдаются на три недели, продлить можно один раз.", "books.md"),
]


@pytest.mark.parametrize(
    ("answer", "attributed"),
    [
        ("The code of the gate is 4711.", (2,)),
        ("They leave the warehouse at noon. The gate has a code.", (1, 2)),
        ("Книгу выдают на три недели.", (3,)),
        ("Level three is for visitors [2].", ()),  # it cites by itself
        ("I do not know.", ()),
        ("The moon is made of green cheese, says the code of conduct.", ()),
        ("Yes.", ()),
        ("", ()),
    ],
)
def test_where_nothing_is_cited_words_tell(answer: str, attributed: tuple[int, ...]) -> None:
    checked = CitationFilter(HOUSE)
    text = checked.feed(answer) + checked.end()
    assert checked.event(text).attributed == attributed
