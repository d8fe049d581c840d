"""Every setting is decided, and each default says where it comes from."""

from __future__ import annotations

from typing import Any

import pytest

from oss.adapters.recipe import resolve_recipe
from oss.contracts.errors import ConfigError, UsageError
from oss.contracts.messages import Message
from oss.data import Conversation, Origin, Preference, Prompt, Rated, Text
from oss.profile.schema import TrainTable
from oss_plugins.peft_training import METHODS, oss_adapters

AT = Origin("d.jsonl", 7)
USER, BOT = Message("user", "a"), Message("assistant", "b")
CHAT = Conversation((USER, BOT), AT)
PAIR = Preference((USER,), BOT, BOT, AT)


def recipe(table: dict[str, Any] | None = None, rows: Any = None, method: str = "lora") -> Any:
    descriptor = next(d for d in oss_adapters() if d.name == method)
    table = {"method": method, **(table or {})}
    return resolve_recipe(TrainTable(**table), descriptor, rows or [CHAT] * 100, 8192)


def test_defaults_follow_the_evidence_and_say_so() -> None:
    made = recipe()
    assert (made.options["r"], made.options["alpha"]) == (16, 32)
    assert made.settings.learning_rate == 5e-4
    assert made.settings.batch * made.settings.accumulation == 8
    assert made.settings.steps == 38
    assert "Without Regret" in made.sources["lora.targets"]
    assert set(made.sources) >= {"learning_rate", "batch", "accumulation", "steps", "lora.alpha"}
    assert recipe(rows=[CHAT] * 4000).settings.learning_rate == 2e-4


@pytest.mark.parametrize("method", [name for name, *_ in METHODS])
@pytest.mark.parametrize("row", [CHAT, PAIR], ids=["chat", "preference"])
def test_every_default_says_its_source(method: str, row: Any) -> None:
    made = recipe(rows=[row] * 100, method=method)
    plain = made.plain()
    options = plain.pop(method)
    shown = {*plain, *(f"{method}.{name}" for name in options)} - {"method"}
    assert not shown - set(made.sources)
    assert ("beta" in plain) == (row is PAIR)


def test_what_is_set_is_taken_and_has_no_source() -> None:
    made = recipe({"learning_rate": 1e-3, "steps": 7, "batch": 3, "options": {"lora": {"r": 4}}})
    settings = made.settings
    assert (settings.learning_rate, settings.steps, settings.batch) == (1e-3, 7, 3)
    assert made.options["alpha"] == 8
    assert not {"learning_rate", "steps", "batch", "lora.r"} & set(made.sources)


@pytest.mark.parametrize(
    ("row", "objective"),
    [
        (CHAT, "chat"),
        (Text("x", AT), "text"),
        (PAIR, "dpo"),
        (Rated((USER,), BOT, True, AT), "kto"),
    ],
)
def test_the_objective_goes_by_the_rows(row: Any, objective: str) -> None:
    assert recipe(rows=[row]).objective == objective


def test_preferences_are_learned_gently_with_the_plain_loss() -> None:
    """At 3e-4 from the base DPO collapses the text while its figures are perfect."""
    made = recipe(rows=[PAIR] * 20)
    assert made.settings.learning_rate <= 1e-4
    assert made.settings.sft_weight > 0


def test_rows_that_do_not_go_together() -> None:
    with pytest.raises(UsageError, match=r"d\.jsonl:7.*'preference'"):
        recipe(rows=[CHAT, PAIR])
    assert recipe(rows=[Text("x", AT), CHAT]).objective == "chat"
    with pytest.raises(UsageError, match="'chat' cannot be learned with objective 'dpo'"):
        recipe({"objective": "dpo"})


def test_a_reward_is_needed_for_grpo() -> None:
    with pytest.raises(ConfigError, match=r"needs train\.reward"):
        recipe(rows=[Prompt((USER,), AT)])


def test_a_wrong_option_names_the_key() -> None:
    with pytest.raises(ConfigError, match=r"train\.lora\.rank") as caught:
        recipe({"options": {"lora": {"rank": 4}}})
    assert "r" in str(caught.value.hint)
    with pytest.raises(ConfigError, match=r"train\.lora\.r"):
        recipe({"options": {"lora": {"r": 0}}})


def test_early_stopping_looks_and_saves_at_the_same_steps() -> None:
    settings = recipe({"patience": 2}).settings
    assert settings.evaluate_every == settings.save_every > 0
    with pytest.raises(ConfigError, match="patience"):
        recipe({"patience": 2, "evaluate_every": 0})


def test_a_teacher_gives_probabilities_and_needs_to_be_named() -> None:
    made = recipe({"teacher": "big"})
    assert made.objective == "distill"
    assert made.settings.beta == 0.5
    assert "2306.13649" in made.sources["beta"]
    assert recipe({"teacher": "big"}, rows=[Text("x", AT)]).objective == "distill"
    with pytest.raises(ConfigError, match=r"train\.teacher"):
        recipe({"objective": "distill"})
    with pytest.raises(ConfigError, match=r"train\.teacher"):
        recipe({"objective": "chat", "teacher": "big"})
    with pytest.raises(ConfigError, match=r"train\.teacher"):
        recipe({"teacher": "big"}, rows=[PAIR])
