"""Options become vLLM's flags."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.adapter import AdapterRef
from oss.contracts.errors import BackendError, CapabilityError, ConfigError, ModelError
from oss_plugins.vllm_server.families import Family, family_of
from oss_plugins.vllm_server.flags import STRUCTURED, server_flags

from .conftest import DEFAULTS

if TYPE_CHECKING:
    from pathlib import Path

NONE = Family()


def flags(
    path: Path, family: Family = NONE, adapters: tuple[AdapterRef, ...] = (), **options: Any
) -> list[str]:
    return server_flags(path, "starter", {**DEFAULTS, **options}, family, adapters)


def value(found: list[str], flag: str) -> str:
    return found[found.index(flag) + 1]


def adapter(folder: Path, name: str = "пират", **config: Any) -> AdapterRef:
    path = folder.parent / name
    path.mkdir()
    (path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, **config}))
    (path / "adapter_model.safetensors").write_bytes(b"")
    return AdapterRef(name, path)


def test_defaults_are_few(folder: Path) -> None:
    assert flags(folder) == [
        "--model", str(folder), "--served-model-name", "starter",
        "--structured-outputs-config", json.dumps(STRUCTURED), "--max-model-len", "1024",
        "--enable-prompt-tokens-details", "--gpu-memory-utilization", "0.9",
        "--enable-prefix-caching",
    ]  # fmt: skip


def test_context_0_is_as_large_as_fits(folder: Path) -> None:
    assert value(flags(folder, context=0), "--max-model-len") == "auto"


def test_several_machines(folder: Path) -> None:
    found = flags(folder, tensor_parallel=8, pipeline_parallel=2, executor="ray")
    assert value(found, "--tensor-parallel-size") == "8"
    assert value(found, "--pipeline-parallel-size") == "2"
    assert value(found, "--distributed-executor-backend") == "ray"


def test_all_the_rest(folder: Path) -> None:
    found = flags(
        folder,
        quantization="fp8",
        dtype="bfloat16",
        kv_cache_dtype="fp8",
        gpu_memory=0.85,
        max_requests=16,
        prefix_caching=False,
        eager=True,
        expert_parallel=True,
        speculative='{"method": "ngram", "num_speculative_tokens": 4}',
        extra=["--max-num-batched-tokens", "8192"],
    )
    assert value(found, "--quantization") == "fp8"
    assert value(found, "--dtype") == "bfloat16"
    assert value(found, "--kv-cache-dtype") == "fp8"
    assert value(found, "--gpu-memory-utilization") == "0.85"
    assert value(found, "--max-num-seqs") == "16"
    assert {"--no-enable-prefix-caching", "--enforce-eager", "--enable-expert-parallel"} <= set(
        found
    )
    assert json.loads(value(found, "--speculative-config"))["method"] == "ngram"
    assert found[-2:] == ["--max-num-batched-tokens", "8192"]


def test_parsers_by_family_and_by_hand(folder: Path) -> None:
    family = Family("hermes", "qwen3")
    found = flags(folder, family)
    assert value(found, "--tool-call-parser") == "hermes"
    assert value(found, "--reasoning-parser") == "qwen3"
    assert "--enable-auto-tool-choice" in found
    found = flags(folder, family, tool_parser="none", reasoning_parser="deepseek_r1")
    assert "--tool-call-parser" not in found
    assert value(found, "--reasoning-parser") == "deepseek_r1"


@pytest.mark.parametrize(
    ("config", "template", "family"),
    [
        ({"model_type": "gpt_oss"}, "<|channel|>", Family("openai", "openai_gptoss")),
        ({"model_type": "qwen3"}, "tools <tool_call> <think>", Family("hermes", "qwen3")),
        ({"model_type": "qwen2"}, "tools <tool_call>", Family("hermes")),
        ({"model_type": "qwen3_moe"}, "tools <tool_call> <function=", Family("qwen3_xml")),
        (
            {"model_type": "qwen3_5_moe"},
            "tools <tool_call> <function= <think>",
            Family("qwen3_xml", "qwen3"),
        ),
        ({"model_type": "mistral"}, "tools [TOOL_CALLS]", Family("mistral")),
        ({"model_type": "llama"}, "tools", Family("llama3_json")),
        ({"model_type": "llama"}, "messages alone", Family()),
        ({"model_type": "unheard-of"}, "tools <tool_call>", Family("hermes")),
    ],
)
def test_families(folder: Path, config: dict[str, str], template: str, family: Family) -> None:
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "chat_template.jinja").write_text(template)
    assert family_of(folder) == family


def test_a_folder_without_configuration(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json"):
        family_of(tmp_path)


def test_adapters(folder: Path) -> None:
    first, second = adapter(folder), adapter(folder, "two", r=17, rank_pattern={"x": 40})
    found = flags(folder, adapters=(first, second))
    assert "--enable-lora" in found
    assert value(found, "--max-lora-rank") == "64"
    rows = [json.loads(row) for row in found[found.index("--lora-modules") + 1 :]]
    assert [row["name"] for row in rows] == ["пират", "two"]
    assert rows[0]["path"] == str(first.path)


@pytest.mark.parametrize(
    "config",
    [
        {"use_dora": True},
        {"modules_to_save": ["lm_head"]},
        {"peft_type": "IA3"},
        {"bias": "all"},
        {"init_lora_weights": "pissa_niter_16"},
    ],
)
def test_adapters_that_vllm_would_apply_in_part_are_refused(
    folder: Path, config: dict[str, Any]
) -> None:
    with pytest.raises(CapabilityError, match="пират"):
        flags(folder, adapters=(adapter(folder, **config),))


def test_a_gguf_adapter_is_refused(folder: Path) -> None:
    (folder / "a.gguf").write_bytes(b"")
    with pytest.raises(CapabilityError, match="GGUF"):
        flags(folder, adapters=(AdapterRef("a", folder / "a.gguf"),))


def test_a_pickle_is_refused(folder: Path) -> None:
    made = adapter(folder)
    (made.path / "adapter_model.safetensors").rename(made.path / "adapter_model.bin")
    with pytest.raises(BackendError, match="safetensors"):
        flags(folder, adapters=(made,))


@pytest.mark.parametrize("flag", ["--host", "--port=1", "--api-key", "--trust-remote-code"])
def test_extra_flags_that_would_open_the_server(folder: Path, flag: str) -> None:
    with pytest.raises(ConfigError, match=flag.partition("=")[0]):
        flags(folder, extra=[flag])


def test_speculative_that_is_not_json(folder: Path) -> None:
    with pytest.raises(ConfigError, match="speculative"):
        flags(folder, speculative="ngram")
