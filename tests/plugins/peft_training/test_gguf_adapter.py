"""What an adapter changes in the logits is the same in Transformers and in llama.cpp.

Only logits show a wrong order of rows: the style of answers survives it.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from oss.contracts.errors import CapabilityError, ModelError
from oss_plugins.peft_training import gguf_adapter
from oss_plugins.peft_training.base import load_model
from oss_plugins.peft_training.methods import method_of
from oss_plugins.peft_training.verifying import attach
from support.tiny_gguf import correlation, llama_logits, torch_logits, write_gguf
from support.training import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from oss.contracts.adapter import TrainJob

    MakeJob = Callable[..., TrainJob]

pytest.importorskip("llama_cpp", reason="its functions show whole logits")
PROMPTS = [[n * 7 % 250 for n in range(start, start + 24)] for start in (1, 50, 99)]


def trained(job: TrainJob) -> Path:
    recorder = Recorder()
    assert method_of(job.method).train(job, recorder, recorder.stop).complete
    return job.out


def changes(base: Path, gguf: Path, adapter: Path, exported: Path) -> tuple[Any, Any]:
    """What the adapter adds to the logits, in both."""
    model = load_model(base, "fp32")
    before = torch_logits(model, PROMPTS)
    after = torch_logits(attach(model, adapter, base)[0], PROMPTS)
    plain = llama_logits(gguf, PROMPTS)
    assert correlation(before, plain) > 0.9999
    assert np.array_equal(llama_logits(gguf, PROMPTS, exported, 0.0), plain)
    return after - before, llama_logits(gguf, PROMPTS, exported) - plain


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("lora", {"r": 4}),
        ("lora", {"r": 4, "alpha": 3.0}),
        ("rslora", {"r": 8}),
        ("pissa", {"r": 4}),
        ("adalora", {"r": 4}),
        ("lora", {"r": 4, "targets": ["q_proj", "k_proj"], "layers": ["1"]}),
    ],
)
def test_llama(
    llama: Path, make_job: MakeJob, tmp_path: Path, method: str, options: dict[str, Any]
) -> None:
    adapter = trained(make_job(llama, method, options=options, steps=12))
    gguf = write_gguf(llama, tmp_path / "base.gguf")
    method_of(method).export(adapter, llama, "gguf", tmp_path / "adapter.gguf")
    ours, theirs = changes(llama, gguf, adapter, tmp_path / "adapter.gguf")
    assert np.abs(ours).mean() > 1e-3
    assert correlation(ours, theirs) > 0.9999
    assert np.abs(ours - theirs).mean() < 0.02 * np.abs(ours).mean()
    assert not gguf_adapter.misfits(tmp_path / "adapter.gguf", gguf)


def test_ranks_and_alphas_of_single_layers(llama: Path, tmp_path: Path) -> None:
    """As PEFT lets one choose them; GGUF has one alpha for the whole file."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules=["q_proj", "down_proj", "layers.1.self_attn.k_proj"],
        rank_pattern={"down_proj": 2},
        alpha_pattern={"layers.0.self_attn.q_proj": 32, "k_proj": 1},
        use_rslora=True,
        init_lora_weights=False,
    )
    get_peft_model(load_model(llama, "fp32"), config).save_pretrained(tmp_path / "made")
    gguf = write_gguf(llama, tmp_path / "base.gguf")
    method_of("lora").export(tmp_path / "made", llama, "gguf", tmp_path / "adapter.gguf")
    ours, theirs = changes(llama, gguf, tmp_path / "made", tmp_path / "adapter.gguf")
    assert correlation(ours, theirs) > 0.9999
    assert np.abs(ours - theirs).mean() < 0.02 * np.abs(ours).mean()


def test_a_pissa_folder_as_it_is_trained_is_refused(llama: Path, tmp_path: Path) -> None:
    """It belongs to other weights than the base's, which llama.cpp knows nothing of."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights="pissa")
    get_peft_model(load_model(llama, "fp32"), config).save_pretrained(tmp_path / "made")
    with pytest.raises(CapabilityError, match="'pissa'"):
        method_of("lora").export(tmp_path / "made", llama, "gguf", tmp_path / "adapter.gguf")


def test_a_forgotten_permutation_is_seen(
    llama: Path, make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check must be able to fail."""
    adapter = trained(make_job(llama, options={"r": 4, "targets": ["q_proj", "k_proj"]}))
    gguf = write_gguf(llama, tmp_path / "base.gguf")
    monkeypatch.setattr(gguf_adapter, "permute", lambda rows, heads: rows)
    method_of("lora").export(adapter, llama, "gguf", tmp_path / "wrong.gguf")
    ours, theirs = changes(llama, gguf, adapter, tmp_path / "wrong.gguf")
    assert correlation(ours, theirs) < 0.9


@pytest.mark.parametrize(
    "options",
    [
        {"r": 4, "experts": False},
        {"r": 2},
        {"r": 2, "router": True},
        {"r": 2, "layers": ["0"]},
        {"r": 2, "targets": ["mlp.experts.down_proj"]},
        {"r": 2, "targets": ["mlp.experts.gate_up_proj"]},
    ],
    ids=["attention", "experts", "router", "one-layer", "down", "gate-up"],
)
def test_gpt_oss(gpt_oss: Path, make_job: MakeJob, tmp_path: Path, options: dict[str, Any]) -> None:
    adapter = trained(make_job(gpt_oss, options=options, steps=8))
    gguf = write_gguf(gpt_oss, tmp_path / "base.gguf")
    method_of("lora").export(adapter, gpt_oss, "gguf", tmp_path / "adapter.gguf")
    ours, theirs = changes(gpt_oss, gguf, adapter, tmp_path / "adapter.gguf")
    assert np.abs(ours).mean() > 1e-4
    # Where two experts of a token are as good as each other, either engine may take either.
    shape = (-1, ours.shape[-1])
    tokens = zip(ours.reshape(shape), theirs.reshape(shape), strict=True)
    assert sum(correlation(one, two) <= 0.9999 for one, two in tokens) <= 1
    changed = gguf_adapter.read(tmp_path / "adapter.gguf").keys()
    assert any("exps" in name for name in changed) == (options.get("experts", True))
    assert any("ffn_gate_inp" in name for name in changed) == options.get("router", False)
    if "layers" in options:
        assert all(name.startswith("blk.0.") for name in changed)


@pytest.mark.parametrize("method", ["dora", "prompt", "prefix", "partial", "full"])
def test_what_gguf_cannot_hold_is_refused(
    llama: Path, make_job: MakeJob, tmp_path: Path, method: str
) -> None:
    with pytest.raises(CapabilityError, match="no form 'gguf'"):
        method_of(method).export(tmp_path, llama, "gguf", tmp_path / "x.gguf")


def test_a_dora_folder_is_not_taken_for_lora(
    llama: Path, make_job: MakeJob, tmp_path: Path
) -> None:
    adapter = trained(make_job(llama, "dora", options={"r": 4}))
    with pytest.raises(CapabilityError, match="DoRA"):
        method_of("lora").export(adapter, llama, "gguf", tmp_path / "x.gguf")
    assert not (tmp_path / "x.gguf").exists()


def test_a_gguf_adapter_for_another_base(
    llama: Path, gpt_oss: Path, make_job: MakeJob, tmp_path: Path
) -> None:
    adapter = trained(make_job(llama, options={"r": 4}))
    method_of("lora").export(adapter, llama, "gguf", tmp_path / "adapter.gguf")
    other = write_gguf(gpt_oss, tmp_path / "other.gguf")
    assert any("has no" in why for why in gguf_adapter.misfits(tmp_path / "adapter.gguf", other))


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("lora", {"r": 4}),
        ("dora", {"r": 4}),
        ("adalora", {"r": 4}),
        ("partial", {"last": 1, "norms": True, "embeddings": True}),
        ("full", {}),
    ],
)
def test_merged_into_gguf(
    llama: Path, make_job: MakeJob, tmp_path: Path, method: str, options: dict[str, Any]
) -> None:
    adapter = trained(make_job(llama, method, options=options, steps=12))
    gguf = write_gguf(llama, tmp_path / "base.gguf")
    found = method_of(method).export(adapter, gguf, "merged-gguf", tmp_path / "merged.gguf")
    assert found.correlation is not None
    assert found.correlation > 0.9999
    plain = llama_logits(gguf, PROMPTS)
    assert np.abs(llama_logits(tmp_path / "merged.gguf", PROMPTS) - plain).mean() > 1e-3
    model = attach(load_model(llama, "fp32"), adapter, llama)[0]
    merged = llama_logits(tmp_path / "merged.gguf", PROMPTS)
    assert correlation(torch_logits(model, PROMPTS), merged) > 0.9999


def test_invisible_tokens_are_not_merged(llama: Path, make_job: MakeJob, tmp_path: Path) -> None:
    gguf = write_gguf(llama, tmp_path / "base.gguf")
    for method in ("prompt", "prefix"):
        with pytest.raises(CapabilityError, match="no form 'merged-gguf'"):
            method_of(method).export(tmp_path, gguf, "merged-gguf", tmp_path / "merged.gguf")


@pytest.mark.parametrize("method", ["lora", "dora", "adalora", "partial", "full"])
def test_merged_into_weights(llama: Path, make_job: MakeJob, tmp_path: Path, method: str) -> None:
    adapter = trained(make_job(llama, method, steps=12))
    found = method_of(method).export(adapter, llama, "merged-hf", tmp_path / "merged")
    assert found.correlation is not None
    assert found.correlation > 0.9999
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_merge_that_lost_the_adapter_is_not_kept(
    llama: Path, make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oss_plugins.peft_training import exporting

    adapter = trained(make_job(llama, steps=12))
    monkeypatch.setattr(exporting, "merged", lambda adapted: adapted.unload())
    with pytest.raises(ModelError, match="not what base and adapter are"):
        method_of("lora").export(adapter, llama, "merged-hf", tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_gpt_oss_experts_survive_a_merge(gpt_oss: Path, make_job: MakeJob, tmp_path: Path) -> None:
    adapter = trained(make_job(gpt_oss, options={"r": 2}, steps=12))
    found = method_of("lora").export(adapter, gpt_oss, "merged-hf", tmp_path / "merged")
    assert found.correlation is not None
    assert found.correlation > 0.999


def test_export_never_overwrites(llama: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(CapabilityError, match="already there"):
        method_of("lora").export(tmp_path, llama, "gguf", tmp_path / "mine")
    shutil.rmtree(tmp_path / "x", ignore_errors=True)
    assert (tmp_path / "mine").read_text() == "precious"
