"""What is saved is what was trained, and nothing is lost before it is in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.errors import ModelError
from oss_plugins.peft_training.checkpoints import whole_checkpoints
from oss_plugins.peft_training.lora import Lora, Pissa
from oss_plugins.peft_training.methods import PeftMethod, method_of
from support.training import HERE, Recorder, train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from oss.contracts.adapter import TrainJob

    MakeJob = Callable[..., TrainJob]


@pytest.mark.parametrize("method", HERE)
def test_it_is_loaded_again_and_held_to_what_was_trained(
    llama: Path, make_job: MakeJob, method: str
) -> None:
    rate = 0.3 if method in {"prompt", "prefix"} else 1e-2
    found = train(make_job(llama, method, steps=12, learning_rate=rate)).verified
    assert found.change > 1e-3
    assert found.correlation > 0.9999


def test_an_adapter_that_lost_a_part_on_its_way_to_the_disk(
    llama: Path, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file, save_file

    real = PeftMethod.save

    def half(self: Any, trainer: Any, job: Any, out: Path, whole: Any) -> None:
        real(self, trainer, job, out, whole)
        file = out / "adapter_model.safetensors"
        tensors = load_file(file)
        save_file({k: v * ("layers.0" in k) for k, v in tensors.items()}, file)

    monkeypatch.setattr(PeftMethod, "save", half)
    job = make_job(llama, steps=8, save_every=4)
    with pytest.raises(ModelError, match="not what was trained"):
        train(job)
    assert whole_checkpoints(job.work)


def test_pissa_that_is_not_converted_is_caught(
    llama: Path, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was trained on weights less their principal parts, and would be loaded on whole ones."""

    def plainly(self: Any, trainer: Any, job: Any, out: Path, whole: Any) -> None:
        trainer.model.peft_config["default"].init_lora_weights = True
        Lora.save(self, trainer, job, out, whole)

    monkeypatch.setattr(Pissa, "save", plainly)
    with pytest.raises(ModelError, match="not what was trained"):
        train(make_job(llama, "pissa", steps=4))


@pytest.mark.parametrize(("save_every", "again"), [(2, 2), (9, 6)])
def test_a_run_whose_end_failed_goes_on_from_before_it(
    llama: Path,
    make_job: MakeJob,
    monkeypatch: pytest.MonkeyPatch,
    save_every: int,
    again: int,
) -> None:
    """A disk that fills while the adapter is written must not cost the training."""
    whole = make_job(llama, name="whole", steps=6, save_every=save_every)
    train(whole)

    def full(*_: Any, **__: Any) -> None:
        raise ModelError("no room")

    known: dict[str, Any] = {"steps": 6, "save_every": save_every}
    with monkeypatch.context() as patch:
        patch.setattr(Lora, "save", full)
        with pytest.raises(ModelError, match="no room"):
            train(make_job(llama, **known))
    recorder = Recorder()
    job = make_job(llama, resume=True, **known)
    done = train(job, recorder)
    assert done.complete
    assert "going on from" in recorder.notices
    assert len(recorder.losses) == again
    tensors = [(each.out / "adapter_model.safetensors").read_bytes() for each in (whole, job)]
    assert tensors[0] == tensors[1]
    method_of("lora").finished(job)
    assert not whole_checkpoints(job.work)


def test_lora_plus_lets_b_learn_faster(llama: Path, make_job: MakeJob) -> None:
    """And a run that was stopped goes on with both rates."""
    from oss_plugins.peft_training import building

    made: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "oss_plugins.peft_training.running.run",
            lambda job, build, save, report: made.append(build(job.settings)),
        )
        building.train(method_of("lora"), make_job(llama, options={"plus": 16.0}), print, bool)
    groups = {
        name: group["lr"]
        for group in made[0].optimizer.param_groups
        for name, parameter in made[0].model.named_parameters()
        if any(parameter is each for each in group["params"])
    }
    for side, rate in (("lora_A", 1e-2), ("lora_B", 16e-2)):
        rates = {lr for name, lr in groups.items() if side in name}
        assert sorted(rates) == pytest.approx([rate])
    settings: dict[str, Any] = {"steps": 6, "options": {"plus": 4.0}}
    unbroken, first, rest = Recorder(), Recorder(stop_after=3), Recorder()
    train(make_job(llama, name="unbroken", **settings), unbroken)
    train(make_job(llama, name="parts", **settings), first)
    train(make_job(llama, name="parts", resume=True, **settings), rest)
    assert first.losses + rest.losses == unbroken.losses


@pytest.mark.parametrize("method", HERE)
def test_a_plan_counts_what_the_method_trains(llama: Path, make_job: MakeJob, method: str) -> None:
    options: dict[str, Any] = {"text": "Ahoy there"} if method == "prompt" else {}
    job = make_job(llama, method, options=options)
    job.work.mkdir(parents=True)
    plan = method_of(method).plan(job)
    from oss_plugins.peft_training.base import load_model

    trained, _ = method_of(method).apply(load_model(llama, "fp32"), job)
    assert plan.trainable == sum(p.numel() for p in trained.parameters() if p.requires_grad)


def test_modules_by_name(llama: Path, make_job: MakeJob) -> None:
    """A chosen list, and nothing else, learns."""
    from oss_plugins.peft_training.whole import changed_names

    options = {"last": 0, "modules": ["layers.1.mlp", "self_attn.o_proj"]}
    job = make_job(llama, "partial", options=options)
    train(job)
    names = changed_names(job.out)
    assert names == {
        *(f"model.layers.1.mlp.{part}_proj.weight" for part in ("gate", "up", "down")),
        *(f"model.layers.{number}.self_attn.o_proj.weight" for number in (0, 1)),
    }


@pytest.mark.parametrize(("deepspeed", "kept"), [("false", "float32"), ("true", "bfloat16")])
def test_what_learns_beside_bf16_weights(
    llama: Path, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, deepspeed: str, kept: str
) -> None:
    """In fp32, which small steps need; DeepSpeed fails at its first step with two types."""
    from oss_plugins.peft_training.base import load_model

    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", deepspeed)
    trained, _ = method_of("lora").apply(load_model(llama, "bf16"), make_job(llama))
    found = {str(p.dtype) for p in trained.parameters() if p.requires_grad}
    assert found == {f"torch.{kept}"}
