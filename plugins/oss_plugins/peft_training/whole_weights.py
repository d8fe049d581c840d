"""Full and partial fine-tuning: the weights themselves learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from oss_plugins.peft_training.methods import PeftMethod

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel, Trainer

    from oss.contracts.adapter import AdapterForm, TrainJob


class Full(PeftMethod):
    """Every weight. Kept as a whole model."""

    name = "full"
    forms: ClassVar[frozenset[AdapterForm]] = frozenset({"merged-hf", "merged-gguf"})

    def apply(self, model: PreTrainedModel, job: TrainJob) -> tuple[Any, tuple[str, ...]]:
        """Let every weight learn."""
        from oss_plugins.peft_training.whole import load_changes

        self.shape(model, job)
        if job.start is not None:
            load_changes(model, job.start)
        return model, ()

    def shape(self, model: PreTrainedModel, job: TrainJob) -> tuple[Any, tuple[str, ...]]:
        """Mark what learns."""
        chosen = self.chosen(model, job)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in chosen)
        return model, ()

    def chosen(self, model: PreTrainedModel, job: TrainJob) -> set[str]:
        """Names of the parameters that learn."""
        return {name for name, _ in model.named_parameters()}

    def save(
        self, trainer: Trainer, job: TrainJob, out: Path, whole: dict[str, Any] | None
    ) -> None:
        """Write the weights that learned, and those that the start had changed before."""
        from oss_plugins.peft_training.whole import changed_names, save_changes

        before = changed_names(job.start) if job.start is not None else set()
        model = trainer.accelerator.unwrap_model(trainer.model)
        save_changes(model, out, self.name, before, whole)


class Partial(Full):
    """Some layers, norms or embeddings; kept as those tensors alone."""

    name = "partial"

    def chosen(self, model: PreTrainedModel, job: TrainJob) -> set[str]:
        """Those that the options choose.

        :raises UsageError: nothing is chosen, or a name matches nothing.
        """
        from oss_plugins.peft_training.whole import choose

        return choose(model, job.options)
