"""Where each default of a training run comes from, for settings that do not depend on the job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oss.contracts.descriptors import Descriptor
    from oss.profile.schema import TrainTable

REGRET = "'LoRA Without Regret' (Thinking Machines, 2025), as retold in TRL's guide"
MEASURED = "measured for oss on a 135M model"
_ALPACA = "Stanford Alpaca's recipe"

_SETTINGS = {
    "method": f"as good as full training for sets like these, in far less memory: {REGRET}",
    "objective": "by the kind of the rows, or a teacher",
    "warmup": _ALPACA,
    "schedule": "the default of transformers",
    "weight_decay": _ALPACA,
    "clip": "the default of transformers",
    "precision": f"fp32 on a CPU, where bf16 takes 1.7 times as long, bf16 on a GPU: {MEASURED}",
    "checkpointing": f"it takes a quarter longer, for a third less memory: {MEASURED}",
    "packing": "an effective batch is then a number of rows, whatever their length",
    "group_by_length": f"the same rows with less padding: {MEASURED}",
    "seed": "any number will do",
    "patience": "the run is as long as it is said to be",
    "sft_weight": f"without it DPO pushes both answers down: {MEASURED}",
}
_OPTIONS = {
    "r": f"more than enough for sets of some thousand examples: {REGRET}",
    "dropout": "PEFT's default",
    "experts": "'all linear layers' means them, and PEFT passes them by",
    "router": "who is asked stays as pre-training balanced it",
    "plus": "1 is plain LoRA; where it is wanted, 16: arXiv 2402.12354",
    "initial_r": "0 is one and a half times r: AdaLoRA, arXiv 2303.10512",
    "tokens": "PEFT's examples",
    "last": f"two of thirty take on a style: {MEASURED}",
    "norms": "few weights; on request",
    "embeddings": "for new words or languages; on request",
}


def fixed_sources(table: TrainTable, descriptor: Descriptor) -> dict[str, str]:
    """Dotted key to its source, for what the profile leaves as it is."""
    plain = type(table)()
    found = {
        key: source
        for key, source in _SETTINGS.items()
        if getattr(table, key) == getattr(plain, key)
    }
    given: Mapping[str, Any] = table.options.get(descriptor.name, {})
    for option in descriptor.options:
        if option.name in _OPTIONS and option.name not in given:
            found[f"{descriptor.name}.{option.name}"] = _OPTIONS[option.name]
    return found
