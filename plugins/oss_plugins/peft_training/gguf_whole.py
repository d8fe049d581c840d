"""What an adapter of any method changes in a GGUF file: merged by PEFT, named as llama.cpp does.

Plain LoRA needs none of this (:mod:`gguf_adapter` multiplies its factors). DoRA scales whole
weights, and partial and full training keep them: here the file is unpacked into a model, the
adapter merged, and every tensor that is not what it was is carried back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oss.contracts.errors import CapabilityError, ModelError
from oss_plugins.peft_training.gguf_adapter import ARCHITECTURES, permute

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np


def whole_deltas(
    adapter: Path, base: Path, config: Mapping[str, Any]
) -> dict[str, np.ndarray[Any, Any]]:
    """The change of each tensor that changes, under llama.cpp's names and in its order of rows.

    :param base: the GGUF file.
    :param config: as :func:`gguf_base.base_config` reads it.
    :raises CapabilityError: the method cannot be merged, or a tensor has no counterpart.
    :raises ModelError: the file cannot be unpacked, or the adapter does not fit.
    """
    import torch

    from oss_plugins.peft_training.exporting import merged
    from oss_plugins.peft_training.verifying import attach
    from oss_plugins.peft_training.whole import WEIGHTS

    model = _unpacked(base)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    adapted, _ = attach(model, adapter, base)
    whole = adapted if (adapter / WEIGHTS).exists() else merged(adapted)
    deltas = {}
    with torch.no_grad():
        for name, value in whole.named_parameters():
            if name not in before:
                raise ModelError(f"'{name}' of the merged model is not in {base}")
            if not torch.equal(value, before[name]):
                delta = (value - before[name]).numpy()
                deltas[_target(name, config)] = _in_order(name, delta, config)
    return deltas


def _unpacked(base: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    try:
        return AutoModelForCausalLM.from_pretrained(
            base.parent,
            gguf_file=base.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.float32,
        )
    except (ValueError, KeyError, OSError, NotImplementedError) as error:
        raise ModelError(f"{base} cannot be unpacked: {str(error).splitlines()[0]}") from error


def _target(name: str, config: Mapping[str, Any]) -> str:
    import gguf

    wanted = ARCHITECTURES[str(config["model_type"])][0]
    architecture = next(k for k, value in gguf.MODEL_ARCH_NAMES.items() if value == wanted)
    names = gguf.get_tensor_name_map(architecture, int(config["num_hidden_layers"]))
    found: str | None = names.get_name(name, try_suffixes=(".weight", ".bias"))
    if found is None or ".experts" in name:
        raise CapabilityError(
            f"'{name}' has no counterpart in GGUF",
            hint="`oss adapter merge` without --gguf keeps it",
        )
    return found


def _in_order(
    name: str, delta: np.ndarray[Any, Any], config: Mapping[str, Any]
) -> np.ndarray[Any, Any]:
    if not ARCHITECTURES[str(config["model_type"])][1]:
        return delta
    heads = int(config["num_attention_heads"])
    if ".q_proj." in name:
        return permute(delta, heads)
    if ".k_proj." in name:
        return permute(delta, int(config.get("num_key_value_heads") or heads))
    return delta
