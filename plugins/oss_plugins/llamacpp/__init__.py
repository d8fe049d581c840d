"""The backend ``llamacpp``, and the embedder ``gguf``: GGUF models in this process."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor, Option
from oss.hookspecs import hookimpl

OPTIONS = (
    Option(
        "binding",
        "str",
        "auto",
        "which Python binding of llama.cpp to use; auto takes xllamacpp where it is installed",
        choices=("auto", "xllamacpp", "llama-cpp-python"),
    ),
    Option("gpu_layers", "int", -1, "layers on the GPU, where there is one; -1 is all", minimum=-1),
    Option("threads", "int", 0, "threads; 0 is one per core that may be used", minimum=0),
    Option("batch", "int", 2048, "prompt tokens evaluated between two reports", minimum=1),
    Option("micro_batch", "int", 512, "prompt tokens evaluated in one step", minimum=1),
    Option(
        "slots",
        "int",
        4,
        "conversations whose prompts stay evaluated at once, within one context",
        minimum=1,
    ),
    Option(
        "contexts",
        "str",
        "shared",
        "one context that all slots share, or one for each: more memory, and faster where several "
        "answer at once; auto is one for each where a quarter of the free memory holds them",
        choices=("shared", "separate", "auto"),
    ),
    Option(
        "kv_cache",
        "str",
        "f16",
        "number format of the context in memory; q8_0 halves it",
        choices=("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"),
    ),
    Option(
        "flash_attention",
        "str",
        "auto",
        "faster attention that takes less memory",
        choices=("auto", "on", "off"),
    ),
    Option(
        "cpu_moe_layers",
        "int",
        0,
        "layers whose experts stay in main memory while the rest is on the GPU; -1 is all",
        minimum=-1,
    ),
    Option("mmap", "bool", True, "map the file into memory in place of reading it"),
    Option("mlock", "bool", False, "keep the model from being swapped out"),
    Option("chat_template", "str", "", "a Jinja chat template in place of the model's own"),
    Option(
        "prompt_cache",
        "int",
        512,
        "MiB for evaluated prompts that have lost their slot; 0 keeps none",
        minimum=0,
    ),
)


@hookimpl
def oss_backends() -> list[Descriptor]:
    """llama.cpp through either of its Python bindings."""
    return [
        Descriptor(
            "llamacpp",
            "GGUF models in this process, on CPU or GPU (llama.cpp)",
            "oss_plugins.llamacpp.backend:LlamaCppBackend",
            options=OPTIONS,
            capabilities=frozenset(
                {
                    "tools",
                    "json_schema",
                    "logprobs",
                    "reasoning",
                    "adapters",
                    "per_request_adapters",
                    "batching",
                }
            ),
            extra="starter",
        )
    ]


@hookimpl
def oss_embedders() -> list[Descriptor]:
    """Embedding models as GGUF files."""
    return [
        Descriptor(
            "gguf",
            "any embedding model as a GGUF file, in this process (llama.cpp)",
            "oss_plugins.llamacpp.embedder:GgufEmbedder",
            options=(
                Option("model", "str", "", "A model of this machine: a name or a path."),
                Option(
                    "pooling",
                    "str",
                    "auto",
                    "How a text's vector is made of its tokens'; auto is as the file says.",
                    choices=("auto", "mean", "cls", "last"),
                ),
                Option("query_prefix", "str", "", "Put before questions."),
                Option("document_prefix", "str", "", "Put before documents."),
                Option("threads", "int", 0, "Threads; 0 is one per core.", minimum=0),
                Option("gpu_layers", "int", -1, "Layers on the GPU; -1 is all.", minimum=-1),
                Option(
                    "dimension", "int", 0, "Length of the vectors; 0 asks the model.", minimum=0
                ),
            ),
            extra="starter",
        )
    ]
