"""The plugin ``peft``: adapters trained with the libraries PEFT and TRL."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor, Option
from oss.hookspecs import hookimpl

PACKAGE = "oss_plugins.peft_training"

_LORA = (
    Option("r", "int", 16, "rank: the width of the change", minimum=1),
    Option("alpha", "float", None, "strength; twice the rank if left out", minimum=0),
    Option("dropout", "float", 0.0, "share of inputs dropped in training", minimum=0, maximum=1),
    Option("targets", "list", [], "modules to change; all linear layers if left out"),
    Option("layers", "list", [], "layers to change (numbers); all if left out"),
    Option("experts", "bool", True, "change the experts of a mixture too, where it can be done"),
    Option("router", "bool", False, "change the router of a mixture too"),
    Option("plus", "float", 1.0, "LoRA+: how much faster B learns than A", minimum=1),
)
_ADALORA = (
    *(option for option in _LORA if option.name not in {"experts", "router", "plus"}),
    Option("initial_r", "int", 0, "rank at the start; one and a half times r if 0", minimum=0),
)
_PROMPT = (
    Option("tokens", "int", 20, "how many invisible tokens", minimum=1),
    Option("text", "str", "", "words that the invisible tokens start from"),
)
_PREFIX = (Option("tokens", "int", 20, "how many invisible tokens per layer", minimum=1),)
_PARTIAL = (
    Option("last", "int", 2, "how many of the last layers to train", minimum=0),
    Option("norms", "bool", False, "train the norms of all layers"),
    Option("embeddings", "bool", False, "train the embeddings and the output layer"),
    Option("modules", "list", [], "further modules to train, as ends of their names"),
)

METHODS = (
    ("lora", "low-rank changes to the linear layers: the default", "lora:Lora", _LORA),
    ("rslora", "LoRA scaled for high ranks", "lora:RankStabilisedLora", _LORA),
    ("dora", "LoRA that learns direction and magnitude apart", "lora:Dora", _LORA),
    ("pissa", "LoRA that starts from the principal components", "lora:Pissa", _LORA),
    ("adalora", "LoRA that gives rank to the layers that need it", "lora:AdaLora", _ADALORA),
    ("qlora", "LoRA on a base held in 4 bits (GPU)", "lora:QLora", _LORA),
    ("prompt", "invisible tokens before the prompt", "soft_prompts:PromptTuning", _PROMPT),
    ("prefix", "invisible tokens in every layer", "soft_prompts:PrefixTuning", _PREFIX),
    ("partial", "some layers trained whole", "whole_weights:Partial", _PARTIAL),
    ("full", "every weight trained", "whole_weights:Full", ()),
)


@hookimpl
def oss_adapters() -> list[Descriptor]:
    """The methods of training that PEFT and TRL give."""
    return [
        Descriptor(name, summary, f"{PACKAGE}.{where}", options, extra="train")
        for name, summary, where, options in METHODS
    ]
