"""Supervised training: TRL's SFT trainer over rows that are already tokens with labels."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset
from torch.utils.data import Sampler
from transformers import EarlyStoppingCallback, PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from oss.contracts.errors import UsageError
from oss_plugins.peft_training.watching import FiniteLoss, Watch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from oss.contracts.adapter import TrainJob, TrainSettings
    from oss_plugins.peft_training.encoding import Encoded


_SORTED = 50  # steps whose rows are sorted together


class Supervised(FiniteLoss, SFTTrainer):
    """TRL's SFT trainer over encoded rows: with an order of its own, a check of each loss, and the
    penalty that AdaLoRA needs.
    """

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Any:
        rows = self.train_dataset if train_dataset is None else train_dataset
        if self.args.train_sampling_strategy != "group_by_length":
            return super()._get_train_sampler(train_dataset)
        lengths = [len(ids) for ids in rows["input_ids"]]
        # All rows of a step, whatever number of processes share them, so that the order is one.
        size = self.args.train_batch_size * self.args.gradient_accumulation_steps
        size *= self.args.world_size
        return LengthGrouped(lengths, size, self.args.data_seed)

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """TRL computes the loss from log-probabilities and passes by the orthogonality penalty
        that PEFT adds to the model's own loss; it is added here.
        """
        loss = super().compute_loss(model, inputs, *args, **kwargs)
        penalty = orthogonality(self.model) if self.model.training else None
        if penalty is None:
            return loss
        penalty = penalty / self.current_gradient_accumulation_steps
        return (loss[0] + penalty, *loss[1:]) if isinstance(loss, tuple) else loss + penalty


class LengthGrouped(Sampler[int]):
    """Rows of like length together, in an order that seed and pass alone decide.

    The sampler of transformers draws from the global generator, so that a resumed run would see
    its rows in another order; and it sorts a quarter of a small set at most, which leaves most of
    the padding. Here up to fifty steps are sorted together, by lengths that are taken to within a
    tenth, so that a step has other rows in each pass; then they come in random order, the longest
    first: what does not fit into memory is found at once.

    :param size: rows of a step.
    """

    def __init__(self, lengths: Sequence[int], size: int, seed: int) -> None:
        self.lengths = lengths
        self.size = size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        draw = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        drawn = torch.randperm(len(self.lengths), generator=draw).tolist()
        blur = (1 + torch.rand(len(drawn), generator=draw) / 10).tolist()
        steps: list[list[int]] = []
        for begin in range(0, len(drawn), _SORTED * self.size):
            part = drawn[begin : begin + _SORTED * self.size]
            part.sort(key=lambda row: -self.lengths[row] * blur[row])
            steps += [part[at : at + self.size] for at in range(0, len(part), self.size)]
        # A step that is not full would shift the bounds of those after it.
        rest = [steps.pop()] if len(steps[-1]) < self.size else []
        order = torch.randperm(len(steps), generator=draw).tolist()
        most = [max(self.lengths[row] for row in step) for step in steps]
        order.sort(key=lambda n: most[n] < max(most))
        return iter([row for step in [steps[n] for n in order] + rest for row in step])


def orthogonality(model: Any) -> torch.Tensor | None:
    """AdaLoRA's penalty, which keeps its singular vectors apart; ``None`` for other methods.

    Source: AdaLoRA, arXiv 2303.10512, equation 4.
    """
    config = getattr(model, "peft_config", {}).get("default")
    weight = getattr(config, "orth_reg_weight", None)
    if not weight:
        return None
    parts = [
        torch.linalg.matrix_norm(
            (p @ p.T if "lora_A" in name else p.T @ p)
            - torch.eye(p.shape[0 if "lora_A" in name else 1], device=p.device, dtype=p.dtype)
        )
        for name, p in model.named_parameters()
        if ("lora_A" in name or "lora_B" in name) and p.requires_grad
    ]
    return weight * torch.stack(parts).mean()


def arguments(job: TrainJob, settings: TrainSettings) -> dict[str, Any]:
    """The settings that every trainer of TRL takes, each decided here and none left to them."""
    looks = bool(job.held_out)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    batch, accumulation = per_process(settings, processes)
    return {
        "output_dir": str(job.work),
        "max_steps": settings.steps,
        "learning_rate": settings.learning_rate,
        "per_device_train_batch_size": batch,
        "per_device_eval_batch_size": batch,
        "gradient_accumulation_steps": accumulation,
        "warmup_steps": round(settings.warmup * settings.steps),
        "lr_scheduler_type": settings.schedule,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.clip,
        # TRL turns both on by itself; here the model is loaded in the precision it trains in.
        "bf16": False,
        "gradient_checkpointing": settings.checkpointing,
        "train_sampling_strategy": "group_by_length" if settings.group_by_length else "random",
        "seed": settings.seed,
        "data_seed": settings.seed,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": list(settings.report_to) or "none",
        "save_strategy": "steps" if settings.save_every else "no",
        "save_steps": settings.save_every or 500,
        "save_total_limit": 2,
        "eval_strategy": "steps" if looks and settings.evaluate_every else "no",
        "eval_steps": settings.evaluate_every or None,
        "load_best_model_at_end": bool(settings.patience and looks and settings.evaluate_every),
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "use_cpu": not torch.cuda.is_available(),
    }


def per_process(settings: TrainSettings, processes: int) -> tuple[int, int]:
    """Batch and accumulation of each of several processes, so that a step stays the same.

    :raises UsageError: the effective batch cannot be shared out evenly.
    """
    if settings.accumulation % processes == 0:
        return settings.batch, settings.accumulation // processes
    if settings.batch % processes == 0:
        return settings.batch // processes, settings.accumulation
    raise UsageError(
        f"batch {settings.batch} x {settings.accumulation} cannot be shared by {processes} "
        "processes",
        hint=f"make train.accumulation a multiple of {processes}",
    )


def callbacks(watch: Watch, settings: TrainSettings, extra: Sequence[Any]) -> list[Any]:
    """The watcher, early stopping where asked for, and the method's own."""
    stopping = [EarlyStoppingCallback(settings.patience)] if settings.patience else []
    return [watch, *stopping, *extra]


def supervised(
    job: TrainJob,
    settings: TrainSettings,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Encoded],
    held_out: Sequence[Encoded],
    watch: Watch,
    extra: Sequence[TrainerCallback] = (),
    optimizer: torch.optim.Optimizer | None = None,
) -> SFTTrainer:
    """A trainer over encoded rows."""
    known: dict[str, Any] = {
        **arguments(job, settings),
        "max_length": settings.max_length if settings.packing else None,
        "packing": settings.packing,
        "eval_packing": False,
        "padding_free": False,
        "shuffle_dataset": False,
        "router_aux_loss_coef": 0.0 if _frozen_router(model) else None,
        "dataset_kwargs": {"skip_prepare_dataset": not settings.packing},
    }
    parts: dict[str, Any] = {
        "train_dataset": _dataset(rows),
        "eval_dataset": _dataset(held_out) if held_out else None,
        "processing_class": tokenizer,
        "callbacks": callbacks(watch, settings, extra),
        "optimizers": (optimizer, None),
    }
    trainer: SFTTrainer
    if job.objective == "distill":
        from oss_plugins.peft_training.distilling import distilled

        trainer = distilled(job, settings, model, known, parts)
    else:
        trainer = Supervised(model, SFTConfig(**known), **parts)
    trainer.remove_callback(PrinterCallback)  # prints to stdout; the watcher reports
    return trainer


def _frozen_router(model: PreTrainedModel) -> bool:
    """A mixture whose routers are not trained: the balancing loss would only cost time."""
    routers = [p for name, p in model.named_parameters() if "router" in name or ".gate." in name]
    return not any(p.requires_grad for p in routers)


def _dataset(rows: Sequence[Encoded]) -> Dataset:
    return Dataset.from_dict(
        {
            "input_ids": [row.input_ids for row in rows],
            "labels": [row.labels for row in rows],
        }
    )
