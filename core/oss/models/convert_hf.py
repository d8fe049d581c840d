"""GGUF to a Hugging Face folder, through transformers. Imports torch: import it late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from oss.contracts.errors import ModelError
from oss.models.convert_check import TOLERANCE, mean_difference

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from oss.plugins.manager import Plugins

_PROMPT = "The quick brown fox jumps over the lazy dog. Съешь же ещё этих мягких булок."


def gguf_to_hf(
    source: Path, target: Path, *, dtype: str, plugins: Plugins, say: Callable[[str], None]
) -> None:
    """Write the weights, the configuration, the tokenizer and the chat template of a GGUF file.

    What was written is read again: it must give the logits that the weights gave before, and,
    where llama.cpp is installed, its log-probabilities of the source.

    :raises ModelError: transformers cannot read this architecture, or a comparison fails.
    """
    transformers.utils.logging.disable_progress_bar()
    wanted = getattr(torch, dtype)
    say(f"reading {source.name}")
    try:
        model = AutoModelForCausalLM.from_pretrained(
            source.parent,
            gguf_file=source.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=wanted,
        )
        tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    except (ValueError, KeyError, NotImplementedError) as error:
        raise ModelError(
            f"transformers {transformers.__version__} cannot read {source.name}: "
            f"{str(error).splitlines()[0]}",
            hint="a newer transformers may; or fetch the model in its Hugging Face form",
        ) from error
    say(f"writing {dtype} weights")
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    say("comparing what was written with what was read")
    ids = torch.tensor([tokenizer(_PROMPT)["input_ids"]])
    before = _logits(model, ids)
    del model
    again = AutoModelForCausalLM.from_pretrained(target, dtype=wanted, local_files_only=True)
    if not torch.equal(before, _logits(again, ids)):
        raise ModelError(
            f"the weights of {source.name} change when they are written and read again",
            hint="transformers does not keep this architecture whole",
        )
    say("comparing it with llama.cpp")
    difference = mean_difference(source, again, tokenizer, plugins)
    if difference is None:
        say("llama.cpp is not installed: not compared with it")
    elif difference > TOLERANCE:
        raise ModelError(
            f"{source.name} answers otherwise in transformers than in llama.cpp "
            f"(log-probabilities differ by {difference:.2f} on average)",
            hint="fetch the model in its Hugging Face form instead",
        )
    else:
        say(f"log-probabilities differ by {difference:.2f} on average: the same model")


def _logits(model: Any, ids: Any) -> Any:
    model.eval()
    with torch.inference_mode():
        return model(ids).logits
