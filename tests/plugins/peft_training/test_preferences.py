"""What is preferred becomes likelier, by each objective, and the text does not collapse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.errors import ConfigError, UsageError
from oss.contracts.messages import Message
from oss.data import Conversation, Origin, Preference, Prompt, Rated
from oss_plugins.peft_training.base import load_config, load_model, load_tokenizer
from oss_plugins.peft_training.encoding import encode
from oss_plugins.peft_training.methods import method_of
from oss_plugins.peft_training.rewards import load_reward
from oss_plugins.peft_training.verifying import attach
from support.training import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from oss.contracts.adapter import TrainJob

    MakeJob = Callable[..., TrainJob]

AT = Origin("p.jsonl", 1)
GOOD, BAD = Message("assistant", "Ahoy!"), Message("assistant", "Hm...")


def asked(number: int) -> tuple[Message, ...]:
    return (Message("user", f"say {number}"),)


PAIRS = [Preference(asked(n), GOOD, BAD, AT) for n in range(8)]
RATED = [Rated(asked(n), (GOOD, BAD)[n % 2], n % 2 == 0, AT) for n in range(8)]


def loss_of(base: Path, adapter: Path | None, answer: Message) -> float:
    """The mean loss of an answer to a question that was not learned."""
    import torch

    tokenizer = load_tokenizer(base, load_config(base))
    (row,) = encode(tokenizer, [Conversation((*asked(99), answer), AT)], 512).rows
    model: Any = load_model(base, "fp32")
    if adapter is not None:
        model, _ = attach(model, adapter, base)
    model.eval()
    with torch.no_grad():
        out = model(input_ids=torch.tensor([row.input_ids]), labels=torch.tensor([row.labels]))
    return float(out.loss)


@pytest.mark.parametrize("objective", ["dpo", "ipo", "apo", "kto", "orpo", "simpo", "cpo"])
def test_the_preferred_answer_becomes_likelier(
    llama: Path, make_job: MakeJob, objective: str
) -> None:
    rows = RATED if objective == "kto" else PAIRS
    job = make_job(llama, rows=rows, objective=objective, steps=12, batch=4, learning_rate=2e-2)
    recorder = Recorder()
    done = method_of("lora").train(job, recorder, recorder.stop)
    assert done.complete
    assert not (job.out / "ref").exists()
    good, bad = (
        [loss_of(llama, adapter, answer) for adapter in (None, job.out)] for answer in (GOOD, BAD)
    )
    assert good[1] - bad[1] < good[0] - bad[0]
    if objective != "kto":
        assert good[1] < good[0], "the preferred answer itself must not become less likely"


def test_the_plain_loss_keeps_the_preferred_answer(llama: Path, make_job: MakeJob) -> None:
    """DPO alone lowers both answers at a high rate, with perfect figures of its own."""
    after = {}
    for weight in (0.0, 1.0):
        job = make_job(
            llama, name=f"w{weight}", rows=PAIRS, objective="dpo", steps=12, batch=4,
            learning_rate=2e-2, sft_weight=weight,
        )  # fmt: skip
        method_of("lora").train(job, Recorder(), lambda: False)
        after[weight] = loss_of(llama, job.out, GOOD)
    assert after[1.0] < after[0.0]


def test_preference_training_goes_on_from_an_adapter(llama: Path, make_job: MakeJob) -> None:
    rows = [Conversation((*asked(n), GOOD), AT) for n in range(8)]
    first = make_job(llama, name="first", rows=rows, steps=6)
    method_of("lora").train(first, Recorder(), lambda: False)
    job = make_job(
        llama, rows=PAIRS, objective="dpo", steps=4, batch=4, start=first.out, learning_rate=1e-3
    )
    recorder = Recorder()
    method_of("lora").train(job, recorder, recorder.stop)
    # The reference is the adapter that it starts from, so the first margin is zero.
    assert recorder.events[0].extra["rewards/margins"] == pytest.approx(0, abs=1e-4)  # type: ignore[union-attr]
    assert loss_of(llama, job.out, GOOD) < loss_of(llama, None, GOOD)


def test_a_plan_of_preferences(llama: Path, make_job: MakeJob) -> None:
    plan = method_of("lora").plan(make_job(llama, rows=PAIRS, objective="dpo"))
    assert 0 < plan.learned_tokens < plan.tokens


REWARD = """
def score(answer, prompt, target):
    return -abs(len(answer) - target)
def broken(answer):
    raise ValueError("no idea")
def nothing(answer):
    return float("nan")
"""


def test_a_reward_guides(llama: Path, make_job: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "reward.py").write_text(REWARD)
    rows = [Prompt(asked(n), AT, {"target": 5}) for n in range(4)]
    job = make_job(
        llama, rows=rows, objective="grpo", steps=2, batch=4, max_length=32,
        reward=f"{tmp_path}/reward.py:score",
    )  # fmt: skip
    recorder = Recorder()
    assert method_of("lora").train(job, recorder, recorder.stop).complete
    assert len(recorder.losses) == 2


@pytest.mark.parametrize(("name", "words"), [("broken", "no idea"), ("nothing", "nan")])
def test_a_reward_that_fails_is_named(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "reward.py").write_text(REWARD)
    score = load_reward(f"{tmp_path}/reward.py:{name}")
    with pytest.raises(UsageError, match=words):
        score(completions=["a"], prompts=["b"])


def test_a_reward_that_fails_in_training_names_the_row(
    llama: Path, make_job: MakeJob, tmp_path: Path
) -> None:
    """And what was saved before is there to go on from."""
    (tmp_path / "reward.py").write_text(
        "def score(answer, target):\n    return 1.0 / target * len(answer)\n"
    )
    rows = [Prompt(asked(n), Origin("награды.jsonl", n + 1), {"target": n}) for n in range(2)]
    job = make_job(
        llama, rows=rows, objective="grpo", steps=4, batch=2, max_length=16, save_every=1,
        reward=f"{tmp_path}/reward.py:score",
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"^награды\.jsonl:1: .*ZeroDivisionError") as caught:
        method_of("lora").train(job, Recorder(), lambda: False)
    assert "--resume" in str(caught.value.hint)
    assert not job.out.exists()


@pytest.mark.parametrize("text", ["gone.py:score", "score"])
def test_a_reward_that_is_not_there(text: str) -> None:
    with pytest.raises(ConfigError, match="no file"):
        load_reward(text)
