"""Loads an adapter on its base and looks at what it does to the logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oss.contracts.adapter import Verified
from oss.contracts.errors import ModelError
from oss_plugins.peft_training.base import load_config, load_model
from oss_plugins.peft_training.running import quiet
from oss_plugins.peft_training.whole import WEIGHTS, load_changes

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from transformers import PreTrainedModel

_PROBES = 4
_PROBE_TOKENS = 24


def verify(adapter: Path, base: Path) -> Verified:
    """Compare the logits of the base with and without the adapter, on fixed tokens.

    :raises ModelError: a tensor of the adapter finds no place, or nothing changes.
    """
    with quiet():
        model = load_model(base, precision_of(base))
        before = probe(model)
        adapted, tensors = attach(model, adapter, base)
        change = float((probe(adapted) - before).abs().mean())
    if not change > 0:
        raise ModelError(
            f"the adapter in {adapter} does nothing: the logits are those of the base",
            hint="it was not trained, or trained for other modules; train it anew",
        )
    return Verified(change=change, tensors=tensors)


def precision_of(base: Path) -> str:
    """``bf16`` for a base that is kept so (or in MXFP4), else ``fp32``."""
    kept = str(getattr(load_config(base), "dtype", "") or "")
    return "bf16" if kept.endswith("bfloat16") else "fp32"


def attach(model: PreTrainedModel, adapter: Path, base: Path) -> tuple[Any, int]:
    """The model with the adapter on it, and how many tensors the adapter has.

    :raises ModelError: a tensor finds no place, or the model wants one that is not there.
    """
    if (adapter / WEIGHTS).exists():
        return model, load_changes(model, adapter)
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import SafetensorError, safe_open

    file = adapter / "adapter_model.safetensors"
    try:
        with safe_open(file, "pt") as tensors:
            kept = {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from error
    try:
        adapted = PeftModel.from_pretrained(model, adapter)
    except (RuntimeError, ValueError, KeyError) as error:
        raise ModelError(
            f"the adapter in {adapter} does not fit the base in {base}: "
            f"{_first_reason(str(error))}",
            hint="`oss adapter show` says which base it was made for",
        ) from error
    wanted = get_peft_model_state_dict(adapted)
    homeless = sorted(kept.keys() - wanted.keys())
    missing = sorted(wanted.keys() - kept.keys())
    if homeless or missing:
        what = f"'{homeless[0]}' has no place" if homeless else f"'{missing[0]}' is missing"
        raise ModelError(
            f"the adapter in {adapter} does not fit the base in {base}: {what} "
            f"({len(homeless)} without a place, {len(missing)} missing)"
        )
    adapted.eval()
    return adapted, len(kept)


def _first_reason(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "mismatch" in line), lines[0])


def probe(model: Any) -> torch.Tensor:
    """Logits (probes, tokens, vocabulary) on tokens drawn with a fixed seed."""
    import torch

    model.eval()
    vocabulary = model.config.get_text_config().vocab_size
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, vocabulary, (_PROBES, _PROBE_TOKENS), generator=draw)
    with torch.no_grad():
        out = model(input_ids=tokens.to(model.device), use_cache=False)
    # prompt tuning answers for its invisible tokens too; they stand before the others
    logits: torch.Tensor = out.logits[:, -_PROBE_TOKENS:].float().cpu()
    return logits
