"""Training goes on from an adapter or a checkpoint, with all that it had learned."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import ModelError
from oss_plugins.peft_training.verifying import verify
from oss_plugins.peft_training.whole import changed_names
from support.training import Recorder, chats, train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from oss.contracts.adapter import TrainJob

    MakeJob = Callable[..., TrainJob]


def test_from_a_checkpoint_of_another_run(llama: Path, make_job: MakeJob) -> None:
    first = make_job(llama, name="first", steps=8, options={"r": 4})
    assert not train(first, Recorder(stop_after=6)).complete
    checkpoint = first.work / "checkpoint-6"
    job = make_job(llama, steps=2, learning_rate=1e-9, held_out=chats(4), start=checkpoint)
    done = train(job)
    again = train(make_job(llama, name="again", steps=2, learning_rate=1e-9, held_out=chats(4)))
    assert done.held_out_before < again.held_out_before - 1
    assert json.loads((job.out / "adapter_config.json").read_text())["r"] == 4
    assert verify(job.out, llama).change > 0


@pytest.mark.parametrize("method", ["lora", "prompt"])
def test_an_adapter_of_another_base_is_refused(
    llama: Path, gpt_oss: Path, make_job: MakeJob, method: str
) -> None:
    first = make_job(llama, method, name="first", options={"tokens": 3} if method != "lora" else {})
    train(first)
    other = make_job(gpt_oss, method, start=first.out)
    if method == "prompt":  # its only tensor may fit by its width
        (first.out / "adapter_model.safetensors").write_bytes(b"cut")
    with pytest.raises(ModelError, match=r"does not fit|cannot be read"):
        train(other)


def test_layers_that_learn_now_do_not_undo_what_was_learned(llama: Path, make_job: MakeJob) -> None:
    """The result holds what the first run changed, and what the second did."""
    first = make_job(llama, "partial", name="first", options={"last": 1}, steps=8)
    train(first)
    job = make_job(
        llama, "partial", options={"last": 0, "norms": True}, steps=2, start=first.out,
        learning_rate=1e-9, held_out=chats(4),
    )  # fmt: skip
    done = train(job)
    names = changed_names(job.out)
    assert changed_names(first.out) < names
    assert "model.norm.weight" in names
    fresh = make_job(llama, "partial", name="fresh", held_out=chats(4), options={"last": 1})
    assert done.held_out_after < train(fresh).held_out_before / 1.5


def test_ranks_that_adalora_settled_stay(llama: Path, make_job: MakeJob) -> None:
    first = make_job(llama, "adalora", name="first", options={"r": 4}, steps=12)
    train(first)
    settled = json.loads((first.out / "adapter_config.json").read_text())["rank_pattern"]
    job = make_job(llama, "adalora", start=first.out, steps=12)
    assert train(job).verified.change > 0
    assert json.loads((job.out / "adapter_config.json").read_text())["rank_pattern"] == settled
