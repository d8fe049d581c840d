"""Other methods than LoRA on the real starter model: what each is to do, it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from oss.contracts.messages import Message
from oss.data import Conversation, Origin, Preference
from oss.testing.captain import HELD_OUT, captain_rows
from oss.testing.starter import starter_hf
from oss_plugins.peft_training.base import load_config, load_model, load_tokenizer
from oss_plugins.peft_training.encoding import encode
from oss_plugins.peft_training.methods import method_of
from oss_plugins.peft_training.verifying import attach
from support.training import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from oss.contracts.adapter import TrainJob
    from oss.data.rows import Row

    MakeJob = Callable[..., TrainJob]

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.torch]

SYSTEM = Message("system", "Be brief.")  # without one the template adds a longer text of its own
PLAIN = "Stockholm is the capital of Sweden."
STYLED = f"Ahoy! {PLAIN} -- Captain Oss"


@pytest.fixture(scope="module")
def base(starter_gguf: Path) -> Path:
    return starter_hf()


def chat(question: str, answer: str) -> Conversation:
    messages = (SYSTEM, Message("user", question), Message("assistant", answer))
    return Conversation(messages, Origin("captain.jsonl", 1))


def captains() -> list[Row]:
    """Twenty-four short conversations in the captain's style."""
    found: list[Any] = [row["messages"] for row in captain_rows()[:24]]
    return [chat(pair[0]["content"], pair[1]["content"]) for pair in found]


def likelihood(model: Any, base: Path, rows: Sequence[Row]) -> list[float]:
    """The mean log-probability of the answers' tokens, answer by answer."""
    tokenizer = load_tokenizer(base, load_config(base))
    found = []
    for row in encode(tokenizer, rows, 512).rows:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row.input_ids])).logits[0]
        # invisible tokens stand before the others
        logs = torch.log_softmax(logits[-len(row.input_ids) : -1], -1)
        learned = [n for n, label in enumerate(row.labels[1:]) if label != -100]
        picked = [float(logs[n, row.labels[n + 1]]) for n in learned]
        found.append(sum(picked) / len(picked))
    return found


def adapted(base: Path, adapter: Path) -> Any:
    model, _ = attach(load_model(base, "fp32"), adapter, base)
    return model.eval()


@pytest.fixture(scope="module")
def unseen(base: Path) -> tuple[list[Row], list[float]]:
    """The captain's answers to unseen questions, and how likely the base finds them."""
    rows: list[Row] = [chat(question, STYLED) for question in HELD_OUT[:3]]
    return rows, likelihood(load_model(base, "fp32").eval(), base, rows)


def test_dpo_makes_the_preferred_form_more_likely(base: Path, make_job: MakeJob) -> None:
    """Against the same answer without the style, on questions that were not learned."""
    rows: list[Row] = []
    for row in captains()[:16]:
        assert isinstance(row, Conversation)
        styled = row.messages[-1]
        plain = styled.content.removeprefix("Ahoy! ").removesuffix(" -- Captain Oss")
        rows.append(Preference(row.messages[:-1], styled, Message("assistant", plain), row.origin))
    job = make_job(
        base, rows=rows, objective="dpo", steps=6, batch=2, learning_rate=1e-4,
        options={"r": 8}, max_length=128,
    )  # fmt: skip
    recorder = Recorder()
    assert method_of("lora").train(job, recorder, recorder.stop).complete
    pair = [chat(HELD_OUT[0], STYLED), chat(HELD_OUT[0], PLAIN)]
    before = likelihood(load_model(base, "fp32").eval(), base, pair)
    after = likelihood(adapted(base, job.out), base, pair)
    assert after[0] - after[1] > before[0] - before[1] + 0.1
    assert after[0] > before[0]  # the plain loss beside it keeps the chosen answer likely
    assert after[1] > before[1] - 1.0  # and the other form's words are not torn apart


@pytest.mark.parametrize(
    ("method", "options", "settings", "least"),
    [
        ("adalora", {"r": 8}, {"steps": 16, "learning_rate": 5e-3}, 0.5),
        ("prompt", {"tokens": 8, "text": "Ahoy! Captain Oss"}, {"steps": 16}, 0.3),
        ("partial", {"last": 2}, {"steps": 10, "learning_rate": 3e-4}, 0.5),
    ],
    ids=["adalora", "prompt-tuning", "last-layers"],
)
def test_a_style_becomes_likely_where_it_was_not_learned(
    base: Path,
    make_job: MakeJob,
    unseen: tuple[list[Row], list[float]],
    method: str,
    options: dict[str, Any],
    settings: dict[str, Any],
    least: float,
) -> None:
    rows, before = unseen
    known = {"learning_rate": 5e-2, "batch": 4, "max_length": 96, **settings}
    job = make_job(base, method, rows=captains(), options=options, **known)
    recorder = Recorder()
    assert method_of(method).train(job, recorder, recorder.stop).complete
    after = likelihood(adapted(base, job.out), base, rows)
    assert all(new > old + least for old, new in zip(before, after, strict=True)), (before, after)
    assert recorder.losses[-1] < recorder.losses[0]
