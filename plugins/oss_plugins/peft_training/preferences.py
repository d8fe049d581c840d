"""Training by preference and by reward: TRL's DPO, KTO, ORPO, CPO and GRPO trainers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from datasets import Dataset
from transformers import PrinterCallback
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, KTOConfig, KTOTrainer

from oss.contracts.errors import UsageError
from oss.data.rows import Conversation, Preference, Rated, Text
from oss_plugins.peft_training.encoding import render, template_messages
from oss_plugins.peft_training.rewards import ORIGIN, load_reward
from oss_plugins.peft_training.supervised import arguments, callbacks
from oss_plugins.peft_training.watching import FiniteLoss

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from transformers import PreTrainedTokenizerBase, Trainer, TrainerCallback

    from oss.contracts.adapter import TrainJob, TrainSettings
    from oss.data.rows import Row
    from oss_plugins.peft_training.watching import Watch

# With the plain loss on the chosen answer beside it: without, DPO pushes both answers down and
# the text falls apart while its own figures look perfect.
_DPO = {"dpo": "sigmoid", "ipo": "ipo", "apo": "apo_zero"}


class Dpo(FiniteLoss, DPOTrainer):
    """Direct preference optimisation. Source: arXiv 2305.18290."""


class Kto(FiniteLoss, KTOTrainer):
    """Learning from answers that are good or bad. Source: arXiv 2402.01306."""


class Grpo(FiniteLoss, GRPOTrainer):
    """Learning from the reward of a group of answers. Source: arXiv 2402.03300."""


def preference_trainer(
    job: TrainJob,
    settings: TrainSettings,
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    watch: Watch,
    extra: Sequence[TrainerCallback] = (),
    optimizer: torch.optim.Optimizer | None = None,
) -> Trainer:
    """The trainer of the job's objective."""
    common = arguments(job, settings) | {"train_sampling_strategy": "random"}
    parts: dict[str, Any] = {
        "train_dataset": dataset(job.rows),
        "eval_dataset": dataset(job.held_out) if job.held_out else None,
        "processing_class": tokenizer,
        "callbacks": callbacks(watch, settings, extra),
        "optimizers": (optimizer, None),
    }
    trainer: Trainer
    if job.objective in _DPO:
        trainer = Dpo(model, args=_dpo_config(job, settings, common), **parts)
    elif job.objective == "kto":
        if settings.batch < 2:
            raise UsageError("objective 'kto' compares rows of one batch: train.batch must be 2 up")
        config = KTOConfig(
            **common | {"train_sampling_strategy": "sequential"},
            beta=settings.beta,
            max_length=settings.max_length,
        )
        trainer = Kto(model, args=config, **parts)
    elif job.objective == "grpo":
        config = GRPOConfig(
            **common,
            beta=0.0,
            num_generations=settings.batch * settings.accumulation,
            max_completion_length=min(256, settings.max_length),
            router_aux_loss_coef=None,
        )
        trainer = Grpo(model, reward_funcs=[load_reward(settings.reward)], args=config, **parts)
    else:
        trainer = _reference_free(job, settings, model, common, parts)
    trainer.remove_callback(PrinterCallback)
    return trainer


def _dpo_config(job: TrainJob, settings: TrainSettings, common: dict[str, Any]) -> DPOConfig:
    own = _DPO[job.objective]
    both = settings.sft_weight > 0
    return DPOConfig(
        **common,
        beta=settings.beta,
        max_length=settings.max_length,
        loss_type=[own, "sft"] if both else [own],
        loss_weights=[1.0, settings.sft_weight] if both else None,
    )


def _reference_free(
    job: TrainJob,
    settings: TrainSettings,
    model: Any,
    common: dict[str, Any],
    parts: dict[str, Any],
) -> Trainer:
    """ORPO (arXiv 2403.07691), SimPO (arXiv 2405.14734) and CPO (arXiv 2401.08417)."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    shared = common | {"beta": settings.beta, "max_length": settings.max_length}
    if job.objective == "orpo":
        from trl.experimental.orpo import ORPOConfig, ORPOTrainer

        class Orpo(FiniteLoss, ORPOTrainer):
            """ORPO, with a check of each loss."""

        made: Trainer = Orpo(model, args=ORPOConfig(**shared), **parts)
        return made
    from trl.experimental.cpo import CPOConfig, CPOTrainer

    class Cpo(FiniteLoss, CPOTrainer):
        """CPO and SimPO, with a check of each loss."""

    config = CPOConfig(
        **shared,
        loss_type="simpo" if job.objective == "simpo" else "sigmoid",
        cpo_alpha=settings.sft_weight,
    )
    return Cpo(model, args=config, **parts)


def dataset(rows: Sequence[Row]) -> Dataset:
    """Rows as TRL's conversational datasets."""
    records: list[dict[str, Any]] = []
    for row in rows:
        if row.kind == "preference":
            records.append(
                {
                    "prompt": template_messages(row.prompt),
                    "chosen": template_messages([row.chosen]),
                    "rejected": template_messages([row.rejected]),
                }
            )
        elif row.kind == "rated":
            records.append(
                {
                    "prompt": template_messages(row.prompt),
                    "completion": template_messages([row.answer]),
                    "label": row.good,
                }
            )
        elif row.kind == "prompt":
            place = {"prompt": template_messages(row.prompt), ORIGIN: str(row.origin)}
            records.append({**row.fields, **place})
        else:
            raise UsageError(f"{row.origin}: a row of kind '{row.kind}' holds no preference")
    return Dataset.from_list(records)


def measure(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> tuple[int, int, int, int]:
    """Rows, tokens, tokens of answers, and the longest, for a plan."""
    tokens = answers = longest = 0
    for row in rows:
        if isinstance(row, (Conversation, Text)):
            continue
        prompt = render(tokenizer, row.prompt, opening=True)
        ends = (
            [row.chosen, row.rejected]
            if isinstance(row, Preference)
            else [row.answer]
            if isinstance(row, Rated)
            else []
        )
        before = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        if not ends:
            tokens, longest = tokens + before, max(longest, before)
        for end in ends:
            whole = render(tokenizer, [*row.prompt, end], opening=False)
            length = len(tokenizer(whole, add_special_tokens=False)["input_ids"])
            tokens, answers = tokens + length, answers + length - before
            longest = max(longest, length)
    return len(rows), tokens, answers, longest
