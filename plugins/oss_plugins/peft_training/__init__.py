"""The plugin ``peft``: adapters trained with the libraries PEFT and TRL."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor, Option
from oss.hookspecs import hookimpl

_TARGET = "oss_plugins.peft_training.methods"

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
    ("lora", "low-rank changes to the linear layers: the default", "Lora", _LORA),
    ("rslora", "LoRA scaled for high ranks", "RankStabilisedLora", _LORA),
    ("dora", "LoRA that learns direction and magnitude apart", "Dora", _LORA),
    ("pissa", "LoRA that starts from the principal components", "Pissa", _LORA),
    ("adalora", "LoRA that gives rank to the layers that need it", "AdaLora", _ADALORA),
    ("qlora", "LoRA on a base held in 4 bits (GPU)", "QLora", _LORA),
    ("prompt", "invisible tokens before the prompt", "PromptTuning", _PROMPT),
    ("prefix", "invisible tokens in every layer", "PrefixTuning", _PREFIX),
    ("partial", "some layers trained whole", "Partial", _PARTIAL),
    ("full", "every weight trained", "Full", ()),
)


@hookimpl
def oss_adapters() -> list[Descriptor]:
    """The methods of training that PEFT and TRL give."""
    return [
        Descriptor(name, summary, f"{_TARGET}:{attribute}", options, extra="train")
        for name, summary, attribute, options in METHODS
    ]
