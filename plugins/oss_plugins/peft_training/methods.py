"""What all methods share: plans, training, checks, exports. Each kind has its own module."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from oss.contracts.adapter import AdapterMethod
from oss.contracts.errors import CapabilityError, ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import torch
    from peft import PeftConfig
    from transformers import PreTrainedModel, Trainer, TrainerCallback

    from oss.contracts.adapter import (
        AdapterForm,
        Objective,
        Trained,
        TrainEvent,
        TrainJob,
        TrainPlan,
        TrainSettings,
        Verified,
    )

SUPERVISED: frozenset[Objective] = frozenset({"chat", "text"})
OVER_TOKENS: frozenset[Objective] = SUPERVISED | {"distill"}
"""Objectives whose rows are encoded here; TRL encodes those of the others."""
PREFERENCE: frozenset[Objective] = frozenset(
    {"dpo", "ipo", "apo", "kto", "orpo", "simpo", "cpo", "grpo"}
)


class PeftMethod(AdapterMethod):
    """What all methods share. A method overrides what is its own."""

    forms: ClassVar[frozenset[AdapterForm]] = frozenset({"peft", "merged-hf", "merged-gguf"})
    objectives: ClassVar[frozenset[Objective]] = OVER_TOKENS | PREFERENCE
    four_bits: ClassVar[bool] = False

    def plan(self, job: TrainJob) -> TrainPlan:
        """What the job would take, by the shape of the model and the tokens of the rows."""
        from oss_plugins.peft_training.planning import plan

        self.check(job)
        return plan(self, job)

    def train(
        self, job: TrainJob, report: Callable[[TrainEvent], None], stop: Callable[[], bool]
    ) -> Trained:
        """Train with TRL, and write the adapter."""
        from oss_plugins.peft_training.building import train

        self.check(job)
        return train(self, job, report, stop)

    def finished(self, job: TrainJob) -> None:
        """Drop the checkpoints."""
        from oss_plugins.peft_training.checkpoints import clear_checkpoints

        clear_checkpoints(job.work)

    def verify(self, adapter: Path, base: Path) -> Verified:
        """Compare the logits with and without the adapter."""
        from oss_plugins.peft_training.verifying import verify

        return verify(adapter, base)

    def export(self, adapter: Path, base: Path, form: AdapterForm, target: Path) -> Verified:
        """Carry the adapter to another form and compare."""
        if form not in self.forms:
            raise CapabilityError(
                f"a '{self.name}' adapter has no form '{form}'",
                hint=f"it has: {', '.join(sorted(self.forms - {'peft'}))}",
            )
        from oss_plugins.peft_training.exporting import export

        return export(adapter, base, form, target)

    def check(self, job: TrainJob) -> None:
        """Refuse what cannot be, before anything is loaded.

        :raises OssError: the method cannot train this base so.
        """
        from oss_plugins.peft_training.base import load_config

        load_config(job.base)
        if job.objective not in self.objectives:
            raise CapabilityError(
                f"method '{self.name}' cannot be trained with objective '{job.objective}'",
                hint="take method 'lora'",
            )
        from oss_plugins.peft_training.reporting import check_reporters

        check_reporters(job.settings.report_to)
        if job.teacher is not None:
            from oss_plugins.peft_training.distilling import check_teacher

            check_teacher(job.base, job.teacher)

    def apply(self, model: PreTrainedModel, job: TrainJob) -> tuple[Any, tuple[str, ...]]:
        """The model with what is to be trained in it, all else frozen, and words about it."""
        from peft import get_peft_model

        if job.start is None:
            config, notices = self.config(model, job.options, job.settings)
            return get_peft_model(model, config, autocast_adapter_dtype=_upcast()), notices
        from oss_plugins.peft_training.starting import at_random, put_weights, start_config

        config = at_random(start_config(job.start))
        trained = get_peft_model(model, config, autocast_adapter_dtype=_upcast())
        put_weights(trained, job.start, job.base)
        return trained, ()

    def shape(self, model: PreTrainedModel, job: TrainJob) -> tuple[Any, tuple[str, ...]]:
        """As :meth:`apply`, on a model without weights."""
        from peft import get_peft_model

        from oss_plugins.peft_training.starting import at_random, start_config

        notices: tuple[str, ...] = ()
        if job.start is None:
            config, notices = self.config(model, job.options, job.settings)
        else:
            config = start_config(job.start)
        return get_peft_model(model, at_random(config), low_cpu_mem_usage=True), notices

    def config(
        self, model: PreTrainedModel, options: Mapping[str, Any], settings: TrainSettings
    ) -> tuple[PeftConfig, tuple[str, ...]]:
        """PEFT's configuration of the method."""
        raise NotImplementedError

    def callbacks(self, model: Any) -> list[TrainerCallback]:
        """What the method must do in the loop."""
        return []

    def optimizer(
        self,
        model: Any,
        options: Mapping[str, Any],
        settings: TrainSettings,
    ) -> torch.optim.Optimizer | None:
        """The method's own optimiser, or ``None`` for AdamW."""
        return None

    def save(
        self, trainer: Trainer, job: TrainJob, out: Path, whole: dict[str, Any] | None
    ) -> None:
        """Write what was trained.

        :param whole: all weights, where the trainer's model has only parts of them.
        """
        # Preference training adds a frozen copy of the adapter, which is none of the result.
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(
            out, safe_serialization=True, selected_adapters=["default"], state_dict=whole
        )


def _upcast() -> bool:
    """What learns is kept in fp32 beside a bf16 base; not under DeepSpeed, which gathers weights of
    one type alone (https://github.com/deepspeedai/DeepSpeed/issues/8072).
    """
    return os.environ.get("ACCELERATE_USE_DEEPSPEED", "false") != "true"


def method_of(name: str) -> PeftMethod:
    """The method of a name, as a card gives it.

    :raises ModelError: this plugin has no such method.
    """
    from importlib import import_module

    from oss_plugins.peft_training import METHODS, PACKAGE

    for known, _, where, _ in METHODS:
        if known == name:
            module, _, attribute = where.partition(":")
            made: PeftMethod = getattr(import_module(f"{PACKAGE}.{module}"), attribute)()
            return made
    raise ModelError(f"no method '{name}'")
