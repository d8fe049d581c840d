"""The base model: its tokenizer, its weights, or its shape alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


def load_config(base: Path) -> PretrainedConfig:
    """The configuration of the model in ``base``.

    :raises ModelError: the folder is no model.
    """
    from transformers import AutoConfig, logging

    if not (base / "config.json").is_file():
        raise ModelError(
            f"{base} is no model in the Hugging Face form", hint="`oss model convert` makes one"
        )
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # what matters of its remarks is checked with the tokenizer
    try:
        return AutoConfig.from_pretrained(base, local_files_only=True)
    except (ValueError, KeyError) as error:
        raise ModelError(f"{base / 'config.json'}: {str(error).splitlines()[0]}") from error
    finally:
        logging.set_verbosity(level)


def load_tokenizer(base: Path, config: PretrainedConfig) -> PreTrainedTokenizerBase:
    """The tokenizer, with a padding token.

    :raises ModelError: absent, or with more tokens than the model has.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            base, local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise ModelError(f"{base} has no usable tokenizer: {str(error).splitlines()[0]}") from error
    vocabulary = config.get_text_config().vocab_size
    if max(tokenizer.get_vocab().values()) >= vocabulary:
        raise ModelError(
            f"the tokenizer in {base} has tokens up to {max(tokenizer.get_vocab().values())}, the "
            f"model only {vocabulary}: they do not belong together"
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def quantisation(config: PretrainedConfig) -> str:
    """How the weights are packed (``mxfp4``, ``bitsandbytes``), or nothing."""
    packed = getattr(config, "quantization_config", None)
    if packed is None:
        return ""
    method = packed.get("quant_method") if isinstance(packed, dict) else packed.quant_method
    return str(getattr(method, "value", method))


def decided_precision(precision: str) -> str:
    """``auto`` is bf16 on a GPU, and fp32 elsewhere: on a CPU bf16 halves the speed."""
    if precision != "auto":
        return precision
    import torch

    return "bf16" if torch.cuda.is_available() else "fp32"


def load_model(base: Path, precision: str, *, four_bits: bool = False) -> PreTrainedModel:
    """The weights in the precision asked for; MXFP4 is unpacked, since it cannot be trained.

    :raises ModelError: the weights are absent or broken.
    """
    import torch
    from transformers import AutoModelForCausalLM

    config = load_config(base)
    arguments: dict[str, Any] = {}
    if quantisation(config) == "mxfp4":
        from transformers import Mxfp4Config

        arguments["quantization_config"] = Mxfp4Config(dequantize=True)
    if four_bits:
        from transformers import BitsAndBytesConfig

        arguments["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
        )
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            base,
            dtype=torch.float32 if decided_precision(precision) == "fp32" else torch.bfloat16,
            local_files_only=True,
            device_map="auto" if four_bits else None,
            **arguments,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{base} cannot be loaded: {str(error).splitlines()[0]}") from error
    model.config.use_cache = False
    return model


def load_shape(base: Path) -> PreTrainedModel:
    """The model without its weights: names and shapes of its tensors, for a plan."""
    import torch
    from transformers import AutoModelForCausalLM

    config = load_config(base)
    if quantisation(config) == "mxfp4":
        del config.quantization_config
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    return model
