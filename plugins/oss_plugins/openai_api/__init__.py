"""The backend ``openai``: models on any server that speaks the OpenAI API."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor, Option
from oss.hookspecs import hookimpl

OPTIONS = (
    Option(
        "url",
        "str",
        "http://127.0.0.1:8080/v1",
        "where the server is; Ollama: http://127.0.0.1:11434/v1, LM Studio: http://127.0.0.1:1234/v1",
    ),
    Option(
        "key",
        "str",
        "",
        "where the server's key is: env:VARIABLE or keyring:SERVICE; never the key itself",
    ),
    Option("timeout", "float", 600.0, "seconds that the server may stay silent", minimum=1),
    Option(
        "retries",
        "int",
        4,
        "how often a request that failed before its answer began is sent again",
        minimum=0,
        maximum=20,
    ),
)


@hookimpl
def oss_backends() -> list[Descriptor]:
    """Any OpenAI-compatible server."""
    return [
        Descriptor(
            "openai",
            "models on a server that speaks the OpenAI API (Ollama, llama-server, LM Studio, ...)",
            "oss_plugins.openai_api.backend:OpenAIBackend",
            options=OPTIONS,
            capabilities=frozenset(
                {
                    "tools",
                    "json_schema",
                    "logprobs",
                    "embeddings",
                    "reasoning",
                    "adapters",
                    "batching",
                }
            ),
            extra="openai",
        )
    ]


@hookimpl
def oss_model_sources() -> list[Descriptor]:
    """``remote:NAME``: a model that a server knows by name."""
    return [
        Descriptor(
            "remote",
            "models that a server has, by the server's name for them",
            "oss_plugins.openai_api.source:RemoteSource",
        )
    ]
