"""Training on tiny models: it learns, stops, goes on, and never leaves half of anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

from oss.contracts.adapter import TrainEvaluated, TrainStep
from oss.contracts.errors import CapabilityError, ModelError, OssError, UsageError
from oss_plugins.peft_training.methods import method_of
from oss_plugins.peft_training.verifying import verify
from support.training import HERE, Recorder, chats, train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from oss.contracts.adapter import TrainJob

    MakeJob = Callable[..., TrainJob]


@pytest.mark.parametrize("method", HERE)
def test_each_method_learns_and_is_the_same_when_loaded_again(
    llama: Path, make_job: MakeJob, method: str
) -> None:
    rate = 0.3 if method in {"prompt", "prefix"} else 1e-2
    job = make_job(llama, method, steps=12, learning_rate=rate, held_out=chats(4))
    done = train(job)
    assert done.complete
    assert done.held_out_after < done.held_out_before
    verified = verify(job.out, llama)
    assert verified.change > 0
    # The held-out loss of the saved adapter is that of the trained model: nothing was lost.
    again = make_job(llama, method, steps=1, learning_rate=1e-12, held_out=chats(4), start=job.out)
    if method != "pissa":
        before = train(again).held_out_before
        assert before == pytest.approx(done.held_out_after, rel=1e-3)


def test_a_stopped_run_goes_on_bit_for_bit(llama: Path, make_job: MakeJob) -> None:
    whole, first, rest = Recorder(), Recorder(stop_after=4), Recorder()
    settings: dict[str, Any] = {"steps": 9, "accumulation": 2, "options": {"dropout": 0.1}}
    complete = train(make_job(llama, name="whole", **settings), whole)
    stopped = make_job(llama, name="parts", **settings)
    assert not train(stopped, first).complete
    assert not stopped.out.exists()
    done = train(make_job(llama, name="parts", resume=True, **settings), rest)
    assert done.complete
    assert done.tokens == complete.tokens
    assert done.seconds > sum(event.tokens / event.tokens_per_second for event in steps_of(first))
    assert first.losses + rest.losses == whole.losses
    assert "going on from step 4" in rest.notices
    tensors = [
        (make_job(llama, name=name).out / "adapter_model.safetensors").read_bytes()
        for name in ("whole", "parts")
    ]
    assert tensors[0] == tensors[1]
    steps = [
        json.loads(line)["step"]
        for line in (stopped.work / "metrics.jsonl").read_text().splitlines()
    ]
    assert steps == list(range(1, 10))


def steps_of(recorder: Recorder) -> list[TrainStep]:
    return [event for event in recorder.events if isinstance(event, TrainStep)]


def test_going_on_needs_the_same_run(llama: Path, make_job: MakeJob) -> None:
    with pytest.raises(UsageError, match="no checkpoint"):
        train(make_job(llama, resume=True))
    train(make_job(llama, steps=9), Recorder(stop_after=2))
    with pytest.raises(UsageError, match="other data or other settings"):
        train(make_job(llama, steps=9, learning_rate=5e-3, resume=True))


def test_a_checkpoint_that_is_half_written_is_not_used(llama: Path, make_job: MakeJob) -> None:
    recorder = Recorder(stop_after=5)
    job = make_job(llama, steps=9, save_every=2)
    train(job, recorder)
    (job.work / "checkpoint-5" / "oss-whole.json").unlink()
    (job.work / "checkpoint-4" / "optimizer.pt").write_bytes(b"cut")
    with pytest.raises(UsageError, match="no checkpoint"):
        train(make_job(llama, steps=9, save_every=2, resume=True))


def test_a_loss_that_is_no_number_stops_before_the_weights_are_touched(
    llama: Path, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oss_plugins.peft_training import supervised

    real = supervised.Supervised.compute_loss

    def poisoned(self: Any, *args: Any, **kwargs: Any) -> Any:
        loss = real(self, *args, **kwargs)
        return loss * float("nan") if self.state.global_step == 3 else loss

    monkeypatch.setattr(supervised.Supervised, "compute_loss", poisoned)
    job = make_job(llama, steps=9, save_every=2)
    with pytest.raises(OssError, match="not a number at step 4") as caught:
        train(job)
    assert "learning_rate" in str(caught.value.hint)
    assert not job.out.exists()
    assert (job.work / "checkpoint-2" / "oss-whole.json").exists()
    monkeypatch.setattr(supervised.Supervised, "compute_loss", real)
    assert train(make_job(llama, steps=9, save_every=2, resume=True)).complete


def test_a_gradient_that_is_no_number_stops_too(
    llama: Path, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oss_plugins.peft_training import supervised

    real = supervised.Supervised.training_step

    def poisoned(self: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        loss = real(self, model, *args, **kwargs)
        next(p for p in model.parameters() if p.grad is not None).grad[0] = float("inf")
        return loss

    monkeypatch.setattr(supervised.Supervised, "training_step", poisoned)
    with pytest.raises(OssError, match="a gradient is not a number"):
        train(make_job(llama))


def test_out_of_memory_halves_the_batch_and_learns_the_same(
    llama: Path, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oss_plugins.peft_training import supervised

    small = Recorder()
    settings: dict[str, Any] = {"steps": 4, "group_by_length": False}
    train(make_job(llama, name="small", batch=2, accumulation=2, **settings), small)
    real = supervised.Supervised.training_step

    def greedy(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if len(inputs["input_ids"]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return real(self, model, inputs, *args, **kwargs)

    monkeypatch.setattr(supervised.Supervised, "training_step", greedy)
    recorder = Recorder()
    done = train(make_job(llama, name="large", batch=4, **settings), recorder)
    assert (done.batch, done.accumulation) == (2, 2)
    assert "batch 2 and accumulation 2" in recorder.notices
    assert recorder.losses == pytest.approx(small.losses, rel=1e-5)


def test_out_of_memory_with_a_batch_of_one_says_what_to_do(
    llama: Path, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oss_plugins.peft_training import supervised

    def greedy(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")

    monkeypatch.setattr(supervised.Supervised, "training_step", greedy)
    with pytest.raises(ModelError, match="batch of 1") as caught:
        train(make_job(llama, batch=2))
    assert "checkpointing" in str(caught.value.hint)


def test_a_full_disk_is_named(
    llama: Path, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oss.contracts.errors import StorageError
    from oss_plugins.peft_training import supervised

    def full(*args: Any, **kwargs: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(supervised.Supervised, "_save_checkpoint", full)
    with pytest.raises(StorageError, match="is full"):
        train(make_job(llama, save_every=2))


def test_training_stops_early_and_keeps_the_best(llama: Path, make_job: MakeJob) -> None:
    recorder = Recorder()
    job = make_job(
        llama, rows=chats(4), held_out=chats(4, answer="other {n}"), steps=60,
        learning_rate=5e-2, evaluate_every=2, save_every=2, patience=2,
    )  # fmt: skip
    done = train(job, recorder)
    looks = [event for event in recorder.events if isinstance(event, TrainEvaluated)]
    assert done.steps < 60
    assert done.held_out_after == pytest.approx(min(look.loss for look in looks[1:]), rel=1e-4)


def test_an_adapter_that_does_nothing_is_an_error(llama: Path, make_job: MakeJob) -> None:
    from safetensors.torch import load_file, save_file

    job = make_job(llama)
    train(job)
    file = job.out / "adapter_model.safetensors"
    zero = {k: v * 0 if "lora_B" in k else v for k, v in load_file(file).items()}
    save_file(zero, file)
    with pytest.raises(ModelError, match="does nothing"):
        verify(job.out, llama)
    with pytest.raises(ModelError, match="does nothing"):
        method_of("lora").export(job.out, llama, "gguf", job.out.parent / "x.gguf")


def test_a_tensor_without_a_place_is_an_error(
    llama: Path, make_job: MakeJob, gpt_oss: Path
) -> None:
    from safetensors.torch import load_file, save_file

    job = make_job(llama)
    train(job)
    file = job.out / "adapter_model.safetensors"
    tensors = load_file(file)
    renamed = {
        key.replace("layers.1.self_attn", "layers.7.self_attn"): v for key, v in tensors.items()
    }
    save_file(renamed, file)
    with pytest.raises(ModelError, match=r"layers\.7.*no place"):
        verify(job.out, llama)
    with pytest.raises(ModelError, match="does not fit"):
        verify(job.out, gpt_oss)


def test_packed_rows_do_not_see_each_other(llama: Path, make_job: MakeJob) -> None:
    """Packing must not change what is learned: the loss of the first step is the same."""
    losses = []
    for packing in (False, True):
        recorder = Recorder()
        job = make_job(
            llama, name=f"p{packing}", rows=chats(4), steps=1, batch=1 if packing else 4,
            packing=packing, group_by_length=False, max_length=256,
        )  # fmt: skip
        train(job, recorder)
        losses.append(recorder.losses[0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_packing_is_refused_where_it_leaks(gpt_oss: Path, make_job: MakeJob) -> None:
    with pytest.raises(UsageError, match="packing"):
        train(make_job(gpt_oss, packing=True))


def test_what_cannot_be_trained_is_refused_with_the_reason(
    llama: Path, gpt_oss: Path, make_job: MakeJob, tmp_path: Path
) -> None:
    import shutil

    with pytest.raises(CapabilityError, match="GPU"):
        method_of("qlora").plan(make_job(llama, "qlora"))
    packed = tmp_path / "packed"
    shutil.copytree(gpt_oss, packed)
    config = json.loads((packed / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "mxfp4"}
    (packed / "config.json").write_text(json.dumps(config))
    with pytest.raises(CapabilityError, match=r"MXFP4"):
        method_of("qlora").plan(make_job(packed, "qlora"))
    with pytest.raises(ModelError, match="no model"):
        method_of("lora").plan(make_job(tmp_path))


def test_a_tokenizer_that_does_not_fit(llama: Path, make_job: MakeJob, tmp_path: Path) -> None:
    import shutil

    other = tmp_path / "other"
    shutil.copytree(llama, other)
    config = json.loads((other / "config.json").read_text())
    config["vocab_size"] = 100
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="do not belong together"):
        method_of("lora").plan(make_job(other))


def test_the_plan_counts_what_training_changes(llama: Path, make_job: MakeJob) -> None:
    job = make_job(llama, options={"r": 4, "targets": ["q_proj"]})
    plan = method_of("lora").plan(job)
    assert plan.trainable == 2 * 4 * (64 + 64)
    assert plan.parameters == sum(tensor.numel() for tensor in _weights(llama).values())
    assert 0 < plan.learned_tokens < plan.tokens
    assert plan.steps == 4


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def test_nothing_is_left_to_the_defaults_of_trl(
    gpt_oss: Path, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRL turns bf16, checkpointing and the balancing loss of routers on by itself."""
    from oss_plugins.peft_training import building

    seen: list[Any] = []
    monkeypatch.setattr(
        "oss_plugins.peft_training.running.run",
        lambda job, build, save, report: seen.append(build(job.settings)),
    )
    for router in (False, True):
        job = make_job(gpt_oss, options={"r": 2, "router": router})
        building.train(method_of("lora"), job, Recorder(), lambda: False)
    frozen, trained = seen
    assert not frozen.args.bf16
    assert not frozen.args.gradient_checkpointing
    assert next(frozen.model.parameters()).dtype == torch.float32
    assert not frozen.aux_loss_enabled
    assert trained.aux_loss_enabled


def test_adalora_takes_rank_away_while_it_learns(llama: Path, make_job: MakeJob) -> None:
    """Rank moves between the optimiser's step and the clearing of gradients, or never."""
    job = make_job(llama, "adalora", options={"r": 4}, steps=12)
    train(job)
    config = json.loads((job.out / "adapter_config.json").read_text())
    kept = [rank for ranks in config["rank_pattern"].values() for rank in ranks]
    assert len(kept) == 14 * 6
    assert sum(kept) == 14 * 4


@pytest.mark.parametrize("method", ["lora", "partial"])
def test_weights_gathered_from_several_processes_are_saved_as_they_are(
    llama: Path, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, method: str
) -> None:
    """A model in parts (FSDP2, DeepSpeed) is saved from what was gathered, not from its parts."""
    from safetensors.torch import load_file

    from oss_plugins.peft_training import building

    made: list[Any] = []
    monkeypatch.setattr(
        "oss_plugins.peft_training.running.run",
        lambda job, build, save, report: made.append(build(job.settings)),
    )
    job = make_job(llama, method)
    building.train(method_of(method), job, Recorder(), lambda: False)
    (trainer,) = made
    whole = {name: value + 1 for name, value in trainer.model.state_dict().items()}
    files = []
    for name, given in (("parts", None), ("whole", whole)):
        out = tmp_path / name
        out.mkdir()
        method_of(method).save(trainer, job, out, given)
        files.append(load_file(next(out.glob("*.safetensors"))))
    assert files[0].keys() == files[1].keys()
    assert all(torch.equal(files[0][name] + 1, files[1][name]) for name in files[0])
    assert building.gathered(trainer) is None  # one process has it whole
