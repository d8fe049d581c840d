"""Whole weights that were trained: full and partial fine-tuning."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Set
    from pathlib import Path

    from transformers import PreTrainedModel

WEIGHTS = "changed_weights.safetensors"
CONFIG = "changed_weights.json"


def choose(model: PreTrainedModel, options: Mapping[str, Any]) -> set[str]:
    """Names of the parameters that the options choose.

    :raises UsageError: none, or a name matches nothing.
    """
    names = [name for name, _ in model.named_parameters()]
    count = int(model.config.get_text_config().num_hidden_layers)
    chosen: set[str] = set()
    first = count - options["last"]
    for name in names:
        layer = re.search(r"layers\.(\d+)\.", name)
        if options["last"] and layer and int(layer[1]) >= first:
            chosen.add(name)
        if options["norms"] and "norm" in name:
            chosen.add(name)
        if options["embeddings"] and ("embed_tokens" in name or "lm_head" in name):
            chosen.add(name)
    for end in options["modules"]:
        found = {name for name in names if f".{name}.".find(f".{end}.") >= 0}
        if not found:
            raise UsageError(f"train.partial.modules: '{end}' matches nothing in this model")
        chosen |= found
    if not chosen:
        raise UsageError(
            "train.partial chooses nothing to train", hint="set last, norms, embeddings or modules"
        )
    return chosen


def changed_names(folder: Path) -> set[str]:
    """Names of the tensors that an adapter of whole weights holds.

    :raises ModelError: they cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    file = folder / WEIGHTS
    try:
        with safe_open(file, "pt") as tensors:
            return set(tensors.keys())
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from error


def save_changes(
    model: PreTrainedModel,
    out: Path,
    method: str,
    before: Set[str] = frozenset(),
    whole: Mapping[str, Any] | None = None,
) -> None:
    """Write the tensors that learned, and those named in ``before``; from ``whole``, where the
    model has only parts of them.
    """
    from safetensors.torch import save_file

    tensors = {  # `named_parameters` names tied weights once
        name: (parameter.detach() if whole is None else whole[name]).cpu().contiguous()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad or name in before
    }
    save_file(tensors, out / WEIGHTS, metadata={"format": "pt"})
    (out / CONFIG).write_text(json.dumps({"method": method, "tensors": len(tensors)}), "utf-8")


def load_changes(model: PreTrainedModel, folder: Path) -> int:
    """Put the tensors into the model; how many there were.

    :raises ModelError: a tensor has no place in the model, or another shape.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    file = folder / WEIGHTS
    places = dict(model.named_parameters())
    count = 0
    try:
        with safe_open(file, "pt") as tensors, torch.no_grad():
            for name in tensors.keys():  # noqa: SIM118  not a dict
                value = tensors.get_tensor(name)
                if name not in places or places[name].shape != value.shape:
                    raise ModelError(f"'{name}' of {file} has no place in the base model")
                places[name].copy_(value)
                count += 1
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from error
    return count
