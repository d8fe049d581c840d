"""Going on from an adapter, or from a checkpoint of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from peft import PeftConfig


def start_config(start: Path) -> PeftConfig:
    """PEFT's configuration of the adapter, to be trained on; see :func:`at_random`.

    :raises ModelError: it cannot be read.
    """
    from peft import PeftConfig

    try:
        config: PeftConfig = PeftConfig.from_pretrained(start)
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{start / 'adapter_config.json'} cannot be read: {error}") from error
    config.inference_mode = False
    return config


def at_random(config: PeftConfig) -> PeftConfig:
    """The configuration less what is computed from weights or words: these come from elsewhere."""
    from peft import PromptTuningInit

    if getattr(config, "init_lora_weights", None) == "pissa":
        config.init_lora_weights = True
    if hasattr(config, "prompt_tuning_init"):
        config.prompt_tuning_init = PromptTuningInit.RANDOM
    return config


def put_weights(trained: Any, start: Path, base: Path) -> None:
    """Put an adapter's tensors into the model that is to learn on.

    Not by ``PeftModel.from_pretrained``: it refuses to go on with invisible tokens.

    :raises ModelError: they are absent, or do not fit.
    """
    from peft import get_peft_model_state_dict, load_peft_weights, set_peft_model_state_dict
    from safetensors import SafetensorError

    from oss_plugins.peft_training.verifying import check_places, misfit

    file = start / "adapter_model.safetensors"
    if not file.is_file():
        raise ModelError(f"{start} has no adapter_model.safetensors to go on from")
    try:
        kept = load_peft_weights(str(start), device="cpu")
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from error
    try:
        set_peft_model_state_dict(trained, kept)
    except (RuntimeError, ValueError, KeyError) as error:
        raise misfit(start, base, str(error)) from error
    check_places(start, base, kept.keys(), get_peft_model_state_dict(trained).keys())
