"""The order of rows: of like length together, and the same again."""

from __future__ import annotations

import pytest

pytest.importorskip("trl")
from oss_plugins.peft_training.supervised import LengthGrouped

LENGTHS = [5 + n * 37 % 101 for n in range(107)]


def padded(order: list[int], size: int) -> int:
    """Tokens of all steps, padding with them."""
    steps = [order[at : at + size] for at in range(0, len(order), size)]
    return sum(len(step) * max(LENGTHS[row] for row in step) for step in steps)


def test_every_row_comes_once_and_little_is_padded() -> None:
    order = list(LengthGrouped(LENGTHS, 8, seed=3))
    assert sorted(order) == list(range(len(LENGTHS)))
    assert padded(order, 8) < 1.2 * sum(LENGTHS)
    assert padded(list(range(len(LENGTHS))), 8) > 1.5 * sum(LENGTHS)
    assert max(LENGTHS) in {LENGTHS[row] for row in order[:8]}


def test_steps_come_in_random_order() -> None:
    """Sorted from long to short, each pass would end on the shortest rows."""
    means = [
        sum(LENGTHS[row] for row in order[at : at + 8]) / 8
        for order in [list(LengthGrouped(LENGTHS, 8, seed=3))]
        for at in range(8, 104, 8)
    ]
    assert means != sorted(means, reverse=True)
    assert means != sorted(means)


def test_each_pass_has_an_order_of_its_own_and_the_same_again() -> None:
    sampler = LengthGrouped(LENGTHS, 8, seed=3)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert first != second
    again = LengthGrouped(LENGTHS, 8, seed=3)
    again.set_epoch(1)
    assert list(again) == second
    assert list(LengthGrouped(LENGTHS, 8, seed=4)) != first


def test_a_step_has_other_rows_in_each_pass() -> None:
    sampler = LengthGrouped(LENGTHS, 8, seed=0)
    passes = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        order = list(sampler)
        passes.append({frozenset(order[at : at + 8]) for at in range(0, 104, 8)})
    assert len(passes[0] & passes[1]) < 3


def test_large_sets() -> None:
    lengths = [1 + n % 77 for n in range(2000)]
    assert sorted(LengthGrouped(lengths, 2, seed=0)) == list(range(2000))


@pytest.mark.parametrize("rows", [1, 7, 8, 9])
def test_sets_of_about_one_step(rows: int) -> None:
    assert sorted(LengthGrouped(LENGTHS[:rows], 8, seed=0)) == list(range(rows))
