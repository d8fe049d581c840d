"""The backend ``llamacpp``: GGUF models in this process."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor, Option
from oss.hookspecs import hookimpl


@hookimpl
def oss_backends() -> list[Descriptor]:
    """llama.cpp through either of its Python bindings."""
    return [
        Descriptor(
            "llamacpp",
            "GGUF models in this process, on CPU or GPU (llama.cpp)",
            "oss_plugins.llamacpp.backend:LlamaCppBackend",
            options=(
                Option(
                    "binding",
                    "str",
                    "auto",
                    "which Python binding of llama.cpp to use",
                    choices=("auto", "xllamacpp", "llama-cpp-python"),
                ),
            ),
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
