"""Which of vLLM's parsers reads a family of models.

Source: https://docs.vllm.ai/en/latest/features/tool_calling/ and
https://docs.vllm.ai/en/latest/features/reasoning_outputs/
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oss.contracts.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Family:
    """The parsers of a family; empty where it has none."""

    tools: str = ""
    reasoning: str = ""


_GPT_OSS = Family("openai", "openai_gptoss")
FAMILIES = {
    "gpt_oss": _GPT_OSS,
    "qwen2": Family("hermes"),
    "qwen3": Family("hermes", "qwen3"),
    "qwen3_moe": Family("hermes", "qwen3"),
    "qwen3_next": Family("qwen3_xml", "qwen3"),
    "mistral": Family("mistral"),
    "mistral3": Family("mistral"),
    "mixtral": Family("mistral"),
    "llama": Family("llama3_json"),
    "llama4": Family("llama4_pythonic"),
    "granite": Family("granite", "granite"),
    "deepseek_v3": Family("deepseek_v3", "deepseek_r1"),
}
"""By ``model_type`` in config.json."""


def family_of(folder: Path) -> Family:
    """The parsers for a model, by its configuration and its chat template.

    A template that knows no tools gets no parser of tools (SmolLM2 is of the Llama architecture
    and knows none), one that knows no thinking no parser of reasoning.

    :raises ModelError: no readable config.json.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = str(config.get("model_type", ""))
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{folder} has no readable config.json: {error}") from error
    family = FAMILIES.get(kind, Family())
    if family is _GPT_OSS:
        return family
    template = _template(folder)
    tools = family.tools if "tools" in template else ""
    if "<tool_call>" in template and (not family.tools or family.tools == "hermes"):
        # Newer ones of Qwen's write calls as XML inside the same tags.
        tools = "qwen3_xml" if "<function=" in template else "hermes"
    reasoning = family.reasoning or ("qwen3" if kind.startswith("qwen3") else "")
    return Family(tools, reasoning if "think" in template.lower() else "")


def _template(folder: Path) -> str:
    try:
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    except OSError:
        pass
    try:
        found = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return json.dumps(found.get("chat_template") or "")
