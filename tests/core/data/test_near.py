"""Nearness, and parts that share nothing near."""

from __future__ import annotations

import random
import sys

import pytest

from oss.contracts.errors import ConfigError
from oss.data.near import Groups, NearIndex
from oss.data.splitting import group_questions, held_out

WORDS = [f"слово{n}" for n in range(500)]


def text(seed: int, words: int = 30) -> list[str]:
    return random.Random(seed).choices(WORDS, k=words)


def test_one_word_of_thirty_is_near_and_another_text_is_not() -> None:
    pytest.importorskip("rensa")
    index = NearIndex()
    for n in range(300):
        index.add(index.signature(" ".join(text(n))), n)
    changed = text(7)
    changed[12] = "другое"
    found = index.find(index.signature(" ".join(changed)))
    assert found is not None
    assert found[0] == 7
    assert 0.8 <= found[1] < 1
    assert index.find(index.signature(" ".join(text(1000)))) is None


def test_no_near_question_is_in_both_parts() -> None:
    pytest.importorskip("rensa")
    questions = []
    for n in range(200):  # each with two near ones, which resemble it by chains
        words = text(n)
        for place in (0, 10, 20):
            words = [*words]
            words[place] = f"иначе{place}"
            questions.append(" ".join(words))
    groups = group_questions(questions, near=True)
    held = held_out(groups, 0.2, seed=3)
    families = {n // 3: {held[n - n % 3 + k] for k in range(3)} for n in range(len(held))}
    assert all(len(parts) == 1 for parts in families.values())
    assert 0.1 < sum(held) / len(held) < 0.3
    alone = held_out(questions, 0.2, seed=3)
    assert any(len({alone[3 * f + k] for k in range(3)}) > 1 for f in range(200))  # the danger


def test_a_number_of_questions() -> None:
    questions = [f"q{n}" for n in range(50)]
    assert sum(held_out(questions, 5)) == 5
    assert sum(held_out(questions, 500)) == 49
    assert held_out(questions, 5, 1) != held_out(questions, 5, 2)


def test_groups_join_chains() -> None:
    groups = Groups()
    for _ in range(5):
        groups.add()
    groups.join(4, 3)
    groups.join(3, 1)
    assert [groups.of(n) for n in range(5)] == [0, 1, 2, 1, 1]


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rensa", None)
    assert group_questions(["a", "A "], near=False) == ["a", "a"]
    with pytest.raises(ConfigError) as caught:
        group_questions(["a"], near=True)
    assert "--exact" in str(caught.value.hint)
