"""A base in MXFP4 is unpacked, trained, and merged without losing its experts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import ModelError
from oss_plugins.peft_training import base
from oss_plugins.peft_training.methods import method_of
from oss_plugins.peft_training.verifying import verify
from support import tiny_models
from support.training import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from oss.contracts.adapter import TrainJob

    MakeJob = Callable[..., TrainJob]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny gpt-oss in MXFP4."""
    return tiny_models.packed_gpt_oss(tmp_path_factory.mktemp("packed"))


@pytest.fixture
def adapter(packed: Path, make_job: MakeJob) -> Path:
    """An adapter of its attention and its experts."""
    job = make_job(packed, options={"r": 2}, steps=8, learning_rate=3e-2)
    recorder = Recorder()
    assert method_of("lora").train(job, recorder, recorder.stop).complete
    return job.out


def test_it_trains_and_is_the_same_when_loaded_again(packed: Path, adapter: Path) -> None:
    assert base.quantisation(base.load_config(packed)) == "mxfp4"
    assert verify(adapter, packed).change > 0


def test_a_merge_keeps_the_experts(packed: Path, adapter: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    merged = tmp_path / "merged"
    found = method_of("lora").export(adapter, packed, "merged-hf", merged)
    assert found.correlation is not None
    assert found.correlation > 0.9
    with safe_open(merged / "model.safetensors", "pt") as tensors:
        names = list(tensors.keys())
    assert not [name for name in names if name.endswith(("_blocks", "_scales"))]
    assert any(name.endswith("experts.gate_up_proj") for name in names)


def test_a_merge_that_loses_the_experts_is_caught(
    packed: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `save_pretrained` does by itself: names that are read back as random experts."""
    monkeypatch.setattr(base, "quantisation", lambda config: "")
    monkeypatch.setattr(
        base, "load_model", lambda folder, precision, real=base.load_model: _unpacked(folder)
    )
    with pytest.raises(ModelError, match="not what base and adapter are"):
        method_of("lora").export(adapter, packed, "merged-hf", tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def _unpacked(folder: Path) -> object:
    import torch
    from transformers import AutoModelForCausalLM, Mxfp4Config

    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, quantization_config=Mxfp4Config(dequantize=True)
    )
