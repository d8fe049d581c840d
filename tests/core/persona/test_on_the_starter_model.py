"""The shipped personas change what a real, very small model says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssCli

PLANS = [
    "We will rewrite our billing system in Rust in one month.",
    "I want to open a restaurant with my savings.",
    "Let us store all passwords in a spreadsheet.",
]
FLATTERY = ("great", "good question", "excellent", "interesting idea", "thank")


def ask(cli: OssCli, model: Path, persona: str, prompt: str) -> str:
    outcome = cli.run(
        *("run", "--profile", "starter", "--model", model, "--persona", persona, "-n"),
        *("--set", "sampling.temperature=0", "--set", "sampling.max_tokens=60", prompt),
    ).ok()
    return outcome.stdout.strip()


@pytest.mark.real
def test_the_critic_names_the_weakest_point_and_does_not_flatter(
    oss_cli: OssCli, starter_gguf: Path
) -> None:
    answers = [ask(oss_cli, starter_gguf, "critic", plan) for plan in PLANS]
    assert all(answer.startswith("Weakest point:") for answer in answers), answers
    assert not [a for a in answers if any(word in a.lower() for word in FLATTERY)]
    # it is the persona that does it
    plain = ask(oss_cli, starter_gguf, "assistant", PLANS[0])
    assert not plain.startswith("Weakest point:")


@pytest.mark.real
def test_the_translator_answers_in_the_other_language(oss_cli: OssCli, starter_gguf: Path) -> None:
    answer = ask(oss_cli, starter_gguf, "translator", "The meeting is on Monday at ten.")
    letters = [char for char in answer if char.isalpha()]
    assert sum("а" <= char.lower() <= "я" for char in letters) > len(letters) / 2, answer
