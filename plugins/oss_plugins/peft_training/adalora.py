"""AdaLoRA's rank allocation as a trainer's callback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments


class RankAllocation(TrainerCallback):
    """Moves rank after each step, while the gradients that it reads are still there."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Called between the optimiser's step and the clearing of gradients."""
        self.model.base_model.update_and_allocate(state.global_step)
