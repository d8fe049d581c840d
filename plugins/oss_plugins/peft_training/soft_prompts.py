"""Invisible tokens: prompt and prefix tuning, which leave every weight as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from oss_plugins.peft_training.methods import SUPERVISED, PeftMethod

if TYPE_CHECKING:
    from collections.abc import Mapping

    from peft import PeftConfig
    from transformers import PreTrainedModel

    from oss.contracts.adapter import AdapterForm, Objective, TrainSettings


class SoftPrompt(PeftMethod):
    """No weight is changed: there is nothing to merge, or to convert."""

    forms: ClassVar[frozenset[AdapterForm]] = frozenset({"peft"})
    objectives: ClassVar[frozenset[Objective]] = SUPERVISED


class PromptTuning(SoftPrompt):
    """Invisible tokens before the prompt. Source: arXiv 2104.08691."""

    name = "prompt"

    def config(
        self, model: PreTrainedModel, options: Mapping[str, Any], settings: TrainSettings
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


class PrefixTuning(SoftPrompt):
    """Invisible keys and values in every layer. Source: arXiv 2101.00190."""

    name = "prefix"

    def config(
        self, model: PreTrainedModel, options: Mapping[str, Any], settings: TrainSettings
    ) -> tuple[PeftConfig, tuple[str, ...]]:
        """Keys and values without the projection, which only steadies training."""
        from peft import PrefixTuningConfig

        config = PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=options["tokens"])
        return config, ()
