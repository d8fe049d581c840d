"""A look inside: what a model computes for a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from oss_plugins.hf_transformers.loading import Loaded


@dataclass(frozen=True)
class ForwardPass:
    """One evaluation of a prompt; tensors are float32 on the CPU.

    :ivar ids: the prompt's tokens.
    :ivar tokens: the text of each.
    :ivar logits: (tokens, vocabulary); row *i* is about what follows token *i*.
    :ivar router_logits: for each layer with experts (tokens, experts); empty for a dense model.
    :ivar experts_per_token: how many experts the router picks.
    """

    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    logits: Any
    router_logits: tuple[Any, ...] = ()
    experts_per_token: int = 0

    def chosen_experts(self, layer: int) -> list[list[int]]:
        """The experts that each token went to in a layer, the strongest first."""
        best: list[list[int]] = (
            self.router_logits[layer].topk(self.experts_per_token, dim=-1).indices.tolist()
        )
        return best


def forward_pass(loaded: Loaded, ids: list[int]) -> ForwardPass:
    """Evaluate a prompt with the adapters at the scales they were opened with."""
    model = loaded.model
    loaded.set_scales({adapter.name: adapter.scale for adapter in loaded.adapters})
    config = model.config.get_text_config()
    more = {"output_router_logits": True} if loaded.experts else {}
    with torch.inference_mode():
        found = model(input_ids=torch.tensor([ids], device=model.device), use_cache=False, **more)
    routers = getattr(found, "router_logits", None) or ()
    return ForwardPass(
        tuple(ids),
        tuple(loaded.tokenizer.decode([token]) for token in ids),
        found.logits[0].float().cpu(),
        tuple(router.reshape(len(ids), -1).float().cpu() for router in routers),
        getattr(config, "num_experts_per_tok", 0) or 0,
    )
