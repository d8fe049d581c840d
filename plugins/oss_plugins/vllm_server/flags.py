"""A profile's options as the command line of vLLM's server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from oss.adapters.peft_folder import start_in_base
from oss.contracts.errors import BackendError, CapabilityError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from oss.contracts.adapter import AdapterRef
    from oss_plugins.vllm_server.families import Family

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What ``--max-lora-rank`` takes."""


STRUCTURED = {"backend": "guidance", "disable_any_whitespace": True}
"""llguidance knows the most of JSON Schema; where any white space may stand between two tokens,
small models write nothing else.
"""


def server_flags(
    path: Path,
    name: str,
    options: Mapping[str, Any],
    family: Family,
    adapters: Sequence[AdapterRef],
) -> list[str]:
    """Everything but host, port and key.

    :param name: what the server is to call the model.
    :raises ConfigError: ``speculative`` is not JSON, or ``extra`` holds what oss sets itself.
    :raises CapabilityError: an adapter of a kind that vLLM does not apply.
    """
    flags = ["--model", str(path), "--served-model-name", name]
    flags += ["--structured-outputs-config", json.dumps(STRUCTURED)]
    flags += ["--max-model-len", str(options["context"] or "auto")]
    flags.append("--enable-prompt-tokens-details")  # how much of a prompt was cached
    for option, flag, default in (
        ("tensor_parallel", "--tensor-parallel-size", 1),
        ("pipeline_parallel", "--pipeline-parallel-size", 1),
        ("executor", "--distributed-executor-backend", "auto"),
        ("max_requests", "--max-num-seqs", 0),
        ("dtype", "--dtype", "auto"),
        ("quantization", "--quantization", ""),
        ("kv_cache_dtype", "--kv-cache-dtype", "auto"),
    ):
        if options[option] != default:
            flags += [flag, str(options[option])]
    flags += ["--gpu-memory-utilization", f"{options['gpu_memory']:g}"]
    flags.append(
        "--enable-prefix-caching" if options["prefix_caching"] else "--no-enable-prefix-caching"
    )
    if options["expert_parallel"]:
        flags.append("--enable-expert-parallel")
    if options["eager"]:
        flags.append("--enforce-eager")
    if options["speculative"]:
        flags += ["--speculative-config", _json(options["speculative"])]
    if tools := tool_parser(options, family):
        flags += ["--enable-auto-tool-choice", "--tool-call-parser", tools]
    if reasoning := _chosen(options["reasoning_parser"], family.reasoning):
        flags += ["--reasoning-parser", reasoning]
    if adapters:
        flags += _lora(name, adapters)
    return flags + _extra(options["extra"])


def tool_parser(options: Mapping[str, Any], family: Family) -> str:
    """The parser of tool calls; empty for none."""
    return _chosen(options["tool_parser"], family.tools)


def _chosen(wanted: str, by_family: str) -> str:
    return {"auto": by_family, "none": ""}.get(wanted, wanted)


def _json(text: str) -> str:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ConfigError(
            f"backend.vllm.speculative is not JSON: {error}",
            hint="""write it as '{"method": "ngram", "num_speculative_tokens": 4}'""",
        ) from error
    return json.dumps(found)


def _extra(extra: Sequence[str]) -> list[str]:
    for flag in extra:
        name = flag.partition("=")[0]
        if name in ("--host", "--port", "--uds", "--api-key"):
            raise ConfigError(
                f"backend.vllm.extra holds {name}, which oss sets itself",
                hint="start the server yourself and set backend.vllm.url",
            )
        if name == "--trust-remote-code":
            raise ConfigError(
                "backend.vllm.extra holds --trust-remote-code: oss runs no code from models"
            )
    return list(extra)


def _lora(name: str, adapters: Sequence[AdapterRef]) -> list[str]:
    rank = max(lora_rank(adapter) for adapter in adapters)
    fitting = next((known for known in RANKS if known >= rank), None)
    if fitting is None:
        raise CapabilityError(f"vLLM takes adapters up to rank {RANKS[-1]}, not {rank}")
    flags = ["--enable-lora", "--max-lora-rank", str(fitting)]
    flags += ["--max-loras", str(len(adapters) + 1), "--lora-modules"]
    for adapter in adapters:
        row = {"name": adapter.name, "path": str(adapter.path), "base_model_name": name}
        flags.append(json.dumps(row, ensure_ascii=False))
    return flags


def lora_rank(adapter: AdapterRef) -> int:
    """The largest rank of an adapter that vLLM can apply.

    :raises CapabilityError: not a LoRA in a PEFT folder, or one with parts that vLLM leaves out.
    :raises BackendError: its configuration cannot be read, or it has no safetensors weights.
    """
    if adapter.format != "peft":
        raise CapabilityError(
            f"adapter '{adapter.name}' is a GGUF file, and vLLM takes PEFT folders",
            hint="use its PEFT folder, or backend llamacpp",
        )
    if not (adapter.path / "adapter_model.safetensors").is_file():
        raise BackendError(f"adapter '{adapter.name}': {adapter.path} has no .safetensors weights")
    config = adapter_config(adapter)
    refused = {
        "a method other than LoRA": config.get("peft_type") != "LORA",
        "DoRA": bool(config.get("use_dora")),
        "a start of its own in the base (PiSSA)": bool(start_in_base(config)),
        "modules_to_save": bool(config.get("modules_to_save")),
        "biases": config.get("bias", "none") != "none",
    }
    if unfit := [what for what, present in refused.items() if present]:
        raise CapabilityError(
            f"adapter '{adapter.name}' uses {unfit[0]}, which vLLM does not apply",
            hint="merge it into the model, or use backend transformers",
        )
    ranks = [config.get("r", 8), *(config.get("rank_pattern") or {}).values()]
    return int(max(ranks))


def adapter_config(adapter: AdapterRef) -> dict[str, Any]:
    """``adapter_config.json``.

    :raises BackendError: it cannot be read.
    """
    try:
        found: dict[str, Any] = json.loads(
            (adapter.path / "adapter_config.json").read_text(encoding="utf-8")
        )
    except (OSError, ValueError) as error:
        raise BackendError(
            f"adapter '{adapter.name}': {adapter.path} has no readable adapter_config.json"
        ) from error
    return found
