"""Learning a teacher's probabilities: TRL's trainer of generalised knowledge distillation.

The teacher sees the tokens that the student sees, so both must have the same vocabulary. Source:
GKD, arXiv 2306.13649, its supervised form: on the examples' answers, not on the student's own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import CapabilityError, UsageError
from oss_plugins.peft_training.base import load_config, load_model, load_tokenizer
from oss_plugins.peft_training.supervised import Supervised
from oss_plugins.peft_training.verifying import attach

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel
    from trl import SFTTrainer

    from oss.contracts.adapter import Teacher, TrainJob, TrainSettings


def check_teacher(base: Path, teacher: Teacher) -> None:
    """Refuse a teacher whose tokens mean something else, before any weights are loaded.

    :raises CapabilityError: the vocabularies differ.
    """
    student_config, teacher_config = load_config(base), load_config(teacher.base)
    sizes = [c.get_text_config().vocab_size for c in (student_config, teacher_config)]
    student = load_tokenizer(base, student_config).get_vocab()
    other = load_tokenizer(teacher.base, teacher_config).get_vocab()
    differing = len(student.items() ^ other.items())
    if differing or sizes[0] != sizes[1]:
        raise CapabilityError(
            f"the teacher in {teacher.base} has another vocabulary than the student "
            f"({sizes[1]} tokens, the student {sizes[0]}; {differing} entries differ): its "
            "probabilities cannot be learned",
            hint="`oss data generate -p TEACHER` lets it write answers, which any student learns",
        )


def distilled(
    job: TrainJob,
    settings: TrainSettings,
    model: PreTrainedModel,
    known: dict[str, Any],
    parts: dict[str, Any],
) -> SFTTrainer:
    """A trainer towards the teacher's probabilities.

    :param known: settings as for supervised training.
    :raises UsageError: rows are to be packed.
    """
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    from trl.experimental.gkd import GKDConfig, GKDTrainer
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    if settings.packing:
        raise UsageError("rows are not packed for a teacher", hint="set train.packing = false")
    assert job.teacher is not None  # noqa: S101  the recipe sees to it

    class Distilled(Supervised, GKDTrainer):
        """GKD's loss, with the tokens counted, which the figures of a step are made of."""

        def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            loss = super().compute_loss(model, inputs, *args, **kwargs)
            mode = "train" if self.model.training else "eval"
            if mode == "train":
                mask = self.accelerator.gather_for_metrics(inputs["attention_mask"].sum())
                self._total_train_tokens += int(mask.sum())
            self._metrics[mode]["num_tokens"] = [self._total_train_tokens]
            return loss

    config = GKDConfig(**known, lmbda=0.0, seq_kd=False, temperature=1.0, beta=settings.beta)
    tokenizer = parts["processing_class"]
    made: SFTTrainer = Distilled(
        model,
        load_teacher(job.teacher, settings.precision),
        config,
        data_collator=DataCollatorForLanguageModeling(pad_token_id=tokenizer.pad_token_id),
        **parts,
    )
    return made


def load_teacher(teacher: Teacher, precision: str) -> PreTrainedModel:
    """The teacher's weights, its adapters merged in, nothing to be learned."""
    model: Any = load_model(teacher.base, precision)
    for folder in teacher.adapters:
        model, _ = attach(model, folder, teacher.base)
        if hasattr(model, "merge_and_unload"):
            model = model.merge_and_unload(safe_merge=True)
    frozen: PreTrainedModel = model.requires_grad_(False)
    return frozen
