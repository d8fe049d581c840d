"""The backend ``transformers``: Hugging Face models in this process, on torch."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor, Option
from oss.hookspecs import hookimpl

OPTIONS = (
    Option(
        "device",
        "str",
        "auto",
        "where the model runs; auto: over all GPUs there are, else the CPU",
        choices=("auto", "cpu", "cuda", "mps"),
    ),
    Option(
        "dtype",
        "str",
        "auto",
        "of the weights; auto: float32 on the CPU where it fits, else as they were saved",
        choices=("auto", "saved", "float32", "bfloat16", "float16"),
    ),
    Option("threads", "int", 0, "CPU threads; 0 leaves torch's own choice", minimum=0),
    Option("batch", "int", 8, "how many waiting requests are answered together", minimum=1),
)


@hookimpl
def oss_backends() -> list[Descriptor]:
    """Transformers, with PEFT adapters."""
    return [
        Descriptor(
            "transformers",
            "Hugging Face models in this process, with logits and routing to look at (torch)",
            "oss_plugins.hf_transformers.backend:TransformersBackend",
            options=OPTIONS,
            capabilities=frozenset(
                {
                    "tools",
                    "json_schema",
                    "logprobs",
                    "embeddings",
                    "reasoning",
                    "adapters",
                    "per_request_adapters",
                    "expert_routing",
                    "batching",
                }
            ),
            extra="transformers",
        )
    ]
