"""A student learns what a teacher finds likely, and only from one with the same vocabulary."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch

from oss.contracts.adapter import Teacher
from oss.contracts.errors import CapabilityError, UsageError
from oss_plugins.peft_training.base import load_config, load_model, load_tokenizer
from oss_plugins.peft_training.encoding import encode
from oss_plugins.peft_training.methods import method_of
from oss_plugins.peft_training.verifying import attach
from support.training import Recorder, chats

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from oss.contracts.adapter import TrainJob

    MakeJob = Callable[..., TrainJob]


def likely(model: Any, base: Path) -> torch.Tensor:
    """Log-probabilities (tokens, vocabulary) where an answer is learned."""
    row = encode(load_tokenizer(base, load_config(base)), chats(1), 512).rows[0]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([row.input_ids])).logits[0, :-1]
    learned = [label != -100 for label in row.labels[1:]]
    return torch.log_softmax(logits[torch.tensor(learned)], -1)


def distance(one: torch.Tensor, two: torch.Tensor) -> float:
    """Mean Kullback-Leibler divergence."""
    return float(torch.nn.functional.kl_div(one, two, reduction="batchmean", log_target=True))


@pytest.fixture
def teacher(llama: Path, make_job: MakeJob) -> Teacher:
    """The base with an adapter that gives answers no row of the student's has."""
    job = make_job(llama, name="teacher", rows=chats(12, "Так точно {n}!"), steps=20)
    method_of("lora").train(job, Recorder(), lambda: False)
    return Teacher(llama, (job.out,))


def test_the_student_comes_near_the_teacher(
    llama: Path, make_job: MakeJob, teacher: Teacher
) -> None:
    job = make_job(
        llama, name="student", objective="distill", teacher=teacher, steps=40, batch=4,
        learning_rate=2e-2, held_out=chats(2), accumulation=2, beta=0.5,
    )  # fmt: skip
    recorder = Recorder()
    done: Any = method_of("lora").train(job, recorder, recorder.stop)
    assert done.complete
    assert done.tokens > 0
    assert done.held_out_after < done.held_out_before / 2
    wanted = likely(attach(load_model(llama, "fp32"), teacher.adapters[0], llama)[0], llama)
    before = likely(load_model(llama, "fp32"), llama)
    after = likely(attach(load_model(llama, "fp32"), job.out, llama)[0], llama)
    assert distance(after, wanted) < distance(before, wanted) / 2


def test_a_teacher_with_another_vocabulary_is_refused(
    llama: Path, make_job: MakeJob, tmp_path: Path
) -> None:
    other = shutil.copytree(llama, tmp_path / "other")
    tokens = json.loads((other / "tokenizer.json").read_text("utf-8"))
    vocabulary = tokens["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    (other / "tokenizer.json").write_text(json.dumps(tokens), "utf-8")
    job = make_job(llama, objective="distill", teacher=Teacher(other))
    with pytest.raises(CapabilityError, match="another vocabulary") as caught:
        method_of("lora").plan(job)
    assert "oss data generate" in str(caught.value.hint)


def test_what_a_teacher_cannot_do(llama: Path, make_job: MakeJob) -> None:
    job = make_job(llama, "prompt", objective="distill", teacher=Teacher(llama))
    with pytest.raises(CapabilityError, match="objective 'distill'"):
        method_of("prompt").train(job, Recorder(), lambda: False)
    job = make_job(llama, objective="distill", teacher=Teacher(llama), packing=True)
    with pytest.raises(UsageError, match="packed"):
        method_of("lora").train(job, Recorder(), lambda: False)


def test_a_plan_counts_the_teacher(llama: Path, make_job: MakeJob) -> None:
    alone = method_of("lora").plan(make_job(llama))
    taught = method_of("lora").plan(make_job(llama, objective="distill", teacher=Teacher(llama)))
    assert taught.memory > alone.memory
    assert taught.learned_tokens == alone.learned_tokens
