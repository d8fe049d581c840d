"""The methods: what each changes in the model, how it is kept, and what it can become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from oss.contracts.adapter import AdapterMethod
from oss.contracts.errors import CapabilityError, ModelError, UsageError

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
        if job.teacher is not None:
            from oss_plugins.peft_training.distilling import check_teacher

            check_teacher(job.base, job.teacher)

    def apply(self, model: PreTrainedModel, job: TrainJob) -> tuple[Any, tuple[str, ...]]:
        """The model with what is to be trained in it, all else frozen, and words about it."""
        from peft import PeftConfig, get_peft_model, load_peft_weights, set_peft_model_state_dict

        if job.start is None:
            config, notices = self.config(model, job.options, job.settings)
            return get_peft_model(model, config), notices
        # Not PeftModel.from_pretrained: it refuses to go on with invisible tokens.
        config = PeftConfig.from_pretrained(job.start)
        config.inference_mode = False
        trained = get_peft_model(model, config)
        set_peft_model_state_dict(trained, load_peft_weights(str(job.start), device="cpu"))
        return trained, ()

    def shape(self, model: PreTrainedModel, job: TrainJob) -> tuple[Any, tuple[str, ...]]:
        """As :meth:`apply`, on a model without weights."""
        from peft import get_peft_model

        config, notices = self.config(model, job.options, job.settings)
        if getattr(config, "init_lora_weights", None) == "pissa":
            config.init_lora_weights = True  # its start is computed from weights
        return get_peft_model(model, config, low_cpu_mem_usage=True), notices

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


class Lora(PeftMethod):
    """Low-rank changes. Source: LoRA, arXiv 2106.09685; all linear layers, as 'LoRA Without
    Regret' (Thinking Machines, 2025) found.
    """

    name = "lora"
    forms: ClassVar[frozenset[AdapterForm]] = frozenset(
        {"peft", "gguf", "merged-hf", "merged-gguf"}
    )
    extra: ClassVar[Mapping[str, Any]] = {}
    plain: ClassVar[bool] = True

    def config(
        self,
        model: PreTrainedModel,
        options: Mapping[str, Any],
        settings: TrainSettings,
    ) -> tuple[PeftConfig, tuple[str, ...]]:
        """A LoRA on the modules and parameters that the options name."""
        from peft import LoraConfig

        from oss_plugins.peft_training.targets import find_targets

        targets = find_targets(model, options, plain=self.plain)
        config = LoraConfig(
            r=options["r"],
            lora_alpha=options["alpha"] or 2 * options["r"],
            lora_dropout=options["dropout"],
            target_modules=list(targets.modules),
            target_parameters=list(targets.parameters) or None,
            layers_to_transform=list(targets.layers) or None,
            task_type="CAUSAL_LM",
            **self.extra,
        )
        return config, targets.notices

    def optimizer(
        self, model: Any, options: Mapping[str, Any], settings: TrainSettings
    ) -> torch.optim.Optimizer | None:
        """LoRA+ gives B a higher learning rate. Source: arXiv 2402.12354."""
        if options["plus"] == 1:
            return None
        import torch
        from peft.optimizers import create_loraplus_optimizer

        made: torch.optim.Optimizer = create_loraplus_optimizer(
            model,
            torch.optim.AdamW,
            lr=settings.learning_rate,
            loraplus_lr_ratio=options["plus"],
            weight_decay=settings.weight_decay,
        )
        return made


class RankStabilisedLora(Lora):
    """LoRA scaled by the root of the rank. Source: arXiv 2312.03732."""

    name = "rslora"
    extra: ClassVar[Mapping[str, Any]] = {"use_rslora": True}


class Dora(Lora):
    """Magnitude and direction learned apart. Source: arXiv 2402.09353."""

    name = "dora"
    forms: ClassVar[frozenset[AdapterForm]] = frozenset({"peft", "merged-hf", "merged-gguf"})
    extra: ClassVar[Mapping[str, Any]] = {"use_dora": True}
    plain = False


class Pissa(Lora):
    """LoRA that starts from the weights' principal components. Source: arXiv 2404.02948.

    Training changes the base itself; the adapter is converted to a plain LoRA (of twice the rank)
    when it is saved, or it would not fit the untouched base.
    """

    name = "pissa"
    extra: ClassVar[Mapping[str, Any]] = {"init_lora_weights": "pissa"}
    plain = False

    def apply(self, model: PreTrainedModel, job: TrainJob) -> tuple[Any, tuple[str, ...]]:
        """Keep the adapter as it starts, for the conversion at the end."""
        if job.start is not None:
            raise UsageError(
                "a 'pissa' adapter is kept as a plain LoRA and goes on as one",
                hint='set train.method = "lora"',
            )
        trained, notices = super().apply(model, job)
        config = trained.peft_config["default"]
        config.init_lora_weights = True
        trained.save_pretrained(job.work / "initial")
        config.init_lora_weights = "pissa"
        return trained, notices

    def save(
        self, trainer: Trainer, job: TrainJob, out: Path, whole: dict[str, Any] | None
    ) -> None:
        """Write the difference to the start."""
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(
            out,
            safe_serialization=True,
            path_initial_model_for_weight_conversion=str(job.work / "initial"),
        )


class QLora(Lora):
    """LoRA on a base in four bits. Source: arXiv 2305.14314."""

    name = "qlora"
    four_bits = True

    def check(self, job: TrainJob) -> None:
        """Needs a GPU and a base that is not in four bits already."""
        super().check(job)
        from oss_plugins.peft_training.base import load_config, quantisation

        packed = quantisation(load_config(job.base))
        if packed == "mxfp4":
            raise CapabilityError(
                "qlora adds nothing here: the base is already held in 4.25 bits (MXFP4), and its "
                "experts cannot be packed again",
                hint='set train.method = "lora"',
            )
        import torch

        if not torch.cuda.is_available():
            raise CapabilityError(
                "qlora needs a GPU: its four-bit kernels run nowhere else",
                hint='set train.method = "lora"',
            )
        from importlib.util import find_spec

        if find_spec("bitsandbytes") is None:
            raise CapabilityError("qlora needs 'bitsandbytes'", hint="pip install bitsandbytes")


class AdaLora(Lora):
    """LoRA that moves rank to where it is needed. Source: arXiv 2303.10512."""

    name = "adalora"
    plain = False
    objectives: ClassVar[frozenset[Objective]] = SUPERVISED

    def config(
        self, model: PreTrainedModel, options: Mapping[str, Any], settings: TrainSettings
    ) -> tuple[PeftConfig, tuple[str, ...]]:
        """Pruning begins after a tenth of the steps and ends three tenths before the last."""
        from peft import AdaLoraConfig

        from oss_plugins.peft_training.targets import find_targets

        targets = find_targets(model, {**options, "experts": True}, plain=False)
        initial = options["initial_r"] or options["r"] * 3 // 2
        config = AdaLoraConfig(
            init_r=initial,
            target_r=options["r"],
            lora_alpha=options["alpha"] or 2 * options["r"],
            lora_dropout=options["dropout"],
            target_modules=list(targets.modules),
            layers_to_transform=list(targets.layers) or None,
            tinit=max(1, settings.steps // 10),
            tfinal=max(1, settings.steps * 3 // 10),
            deltaT=max(1, settings.steps // 40),
            total_step=settings.steps,
            task_type="CAUSAL_LM",
        )
        return config, targets.notices

    def callbacks(self, model: Any) -> list[TrainerCallback]:
        """Move rank between the optimiser's step and the clearing of gradients."""
        from oss_plugins.peft_training.adalora import RankAllocation

        return [RankAllocation(model)]

    def optimizer(
        self,
        model: Any,
        options: Mapping[str, Any],
        settings: TrainSettings,
    ) -> torch.optim.Optimizer | None:
        """AdamW."""
        return None


class PromptTuning(PeftMethod):
    """Invisible tokens before the prompt. Source: arXiv 2104.08691."""

    name = "prompt"
    forms: ClassVar[frozenset[AdapterForm]] = frozenset({"peft"})
    objectives: ClassVar[frozenset[Objective]] = SUPERVISED

    def config(
        self,
        model: PreTrainedModel,
        options: Mapping[str, Any],
        settings: TrainSettings,
    ) -> tuple[PeftConfig, tuple[str, ...]]:
        """Tokens that start at random, or from words."""
        from peft import PromptTuningConfig, PromptTuningInit

        text = options["text"]
        config = PromptTuningConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=options["tokens"],
            prompt_tuning_init=PromptTuningInit.TEXT if text else PromptTuningInit.RANDOM,
            prompt_tuning_init_text=text or None,
            tokenizer_name_or_path=str(model.config.name_or_path) if text else None,
        )
        return config, ()


class PrefixTuning(PeftMethod):
    """Invisible keys and values in every layer. Source: arXiv 2101.00190."""

    name = "prefix"
    forms: ClassVar[frozenset[AdapterForm]] = frozenset({"peft"})
    objectives: ClassVar[frozenset[Objective]] = SUPERVISED

    def config(
        self,
        model: PreTrainedModel,
        options: Mapping[str, Any],
        settings: TrainSettings,
    ) -> tuple[PeftConfig, tuple[str, ...]]:
        """Keys and values without the projection, which only steadies training."""
        from peft import PrefixTuningConfig

        config = PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=options["tokens"])
        return config, ()


class Full(PeftMethod):
    """Every weight. Kept as a whole model."""

    name = "full"
    forms: ClassVar[frozenset[AdapterForm]] = frozenset({"merged-hf", "merged-gguf"})

    def apply(self, model: PreTrainedModel, job: TrainJob) -> tuple[Any, tuple[str, ...]]:
        """Let every weight learn."""
        from oss_plugins.peft_training.whole import load_changes

        for parameter in model.parameters():
            parameter.requires_grad_(True)
        if job.start is not None:
            load_changes(model, job.start)
        return model, ()

    def save(
        self, trainer: Trainer, job: TrainJob, out: Path, whole: dict[str, Any] | None
    ) -> None:
        """Write the weights that learned."""
        from oss_plugins.peft_training.whole import save_changes

        save_changes(trainer.accelerator.unwrap_model(trainer.model), out, self.name, whole)


class Partial(Full):
    """Some layers, norms or embeddings; kept as those tensors alone."""

    name = "partial"

    def apply(self, model: PreTrainedModel, job: TrainJob) -> tuple[Any, tuple[str, ...]]:
        """Let the chosen weights learn.

        :raises UsageError: nothing is chosen, or a name matches nothing.
        """
        from oss_plugins.peft_training.whole import choose, load_changes

        chosen = choose(model, job.options)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in chosen)
        if job.start is not None:
            load_changes(model, job.start)
        return model, ()


def method_of(name: str) -> PeftMethod:
    """The method of a name, as a card gives it.

    :raises ModelError: this plugin has no such method.
    """
    from oss_plugins.peft_training import METHODS

    for known, _, attribute, _ in METHODS:
        if known == name:
            made: PeftMethod = globals()[attribute]()
            return made
    raise ModelError(f"no method '{name}'")
