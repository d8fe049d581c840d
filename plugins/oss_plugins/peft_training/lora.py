"""LoRA and its kin: low-rank changes to the linear layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from oss.contracts.errors import CapabilityError, UsageError
from oss_plugins.peft_training.methods import SUPERVISED, PeftMethod

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from peft import PeftConfig
    from transformers import PreTrainedModel, Trainer, TrainerCallback

    from oss.contracts.adapter import AdapterForm, Objective, TrainJob, TrainSettings


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
                "qlora needs a GPU: training on four-bit weights was not tried elsewhere",
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
    optimizer = PeftMethod.optimizer  # without LoRA+

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

    def shape(self, model: PreTrainedModel, job: TrainJob) -> tuple[Any, tuple[str, ...]]:
        """PEFT keeps each rank in a parameter that does not learn, but marks it so only with
        weights.
        """
        trained, notices = super().shape(model, job)
        for name, parameter in trained.named_parameters():
            if "ranknum" in name:
                parameter.requires_grad_(False)
        return trained, notices

    def callbacks(self, model: Any) -> list[TrainerCallback]:
        """Move rank between the optimiser's step and the clearing of gradients; not where the run
        goes on from an adapter, whose ranks are settled.
        """
        from oss_plugins.peft_training.adalora import RankAllocation

        return [] if model.peft_config["default"].rank_pattern else [RankAllocation(model)]
