"""Vectors of texts, from the last hidden states of the model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from oss_plugins.hf_transformers.loading import Loaded

Pooling = Literal["mean", "last", "first"]
_BY_KEY: dict[str, Pooling] = {
    "pooling_mode_lasttoken": "last",
    "pooling_mode_cls_token": "first",
    "pooling_mode_mean_tokens": "mean",
}


def pooling_of(folder: Path) -> Pooling:
    """How a model's tokens become one vector: what its ``1_Pooling/config.json`` says, as
    sentence-transformers writes it into embedding models; the mean where nothing is said.
    """
    try:
        found = json.loads((folder / "1_Pooling" / "config.json").read_text(encoding="utf-8"))
        return next((kind for key, kind in _BY_KEY.items() if found.get(key)), "mean")
    except (OSError, ValueError, AttributeError):
        return "mean"


def embed(loaded: Loaded, texts: Sequence[Sequence[int]], pooling: Pooling) -> list[list[float]]:
    """One vector of length 1 for each text, with the adapters at the scales they were opened with.

    :param texts: token ids; none of them empty.
    """
    loaded.set_scales({adapter.name: adapter.scale for adapter in loaded.adapters})
    model = loaded.model
    width = max(len(ids) for ids in texts)
    ids = torch.zeros((len(texts), width), dtype=torch.long, device=model.device)
    mask = torch.zeros_like(ids)
    for index, text in enumerate(texts):  # padded behind: positions count from 0
        ids[index, : len(text)] = torch.tensor(text, device=model.device)
        mask[index, : len(text)] = 1
    with torch.inference_mode():
        found = model(
            input_ids=ids,
            attention_mask=mask,
            use_cache=False,
            output_hidden_states=True,
            logits_to_keep=1,
        )
    states = found.hidden_states[-1].float()  # (texts, tokens, width of the model)
    vectors = torch.nn.functional.normalize(_pooled(states, mask, pooling), dim=-1)
    rows: list[list[float]] = vectors.cpu().tolist()
    return rows


def _pooled(states: Any, mask: Any, pooling: Pooling) -> Any:
    if pooling == "first":
        return states[:, 0]
    if pooling == "last":
        return states[torch.arange(len(states), device=states.device), mask.sum(1) - 1]
    weights = mask.unsqueeze(-1).float()
    return (states * weights).sum(1) / weights.sum(1)
