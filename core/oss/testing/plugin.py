"""The fakes as a plugin, for tests that run the real program: see ``OssCli.use_fakes``."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor, Option
from oss.hookspecs import hookimpl

FAKES = "oss.testing.fakes"


@hookimpl
def oss_backends() -> list[Descriptor]:
    """The backend ``fake``, with its answers as an option."""
    return [
        Descriptor(
            "fake",
            "answers from a script, or repeats the prompt",
            f"{FAKES}:FakeBackend",
            options=(
                Option("context", "int", 0, "tokens of context; 0 is 4096", minimum=0),
                Option("answers", "list", [], "the answers, in order"),
            ),
            capabilities=frozenset(
                {"tools", "json_schema", "logprobs", "embeddings", "reasoning", "adapters"}
            ),
        )
    ]


@hookimpl
def oss_model_sources() -> list[Descriptor]:
    """The scheme ``fake:``."""
    return [Descriptor("fake", "models without a file", f"{FAKES}:FakeSource")]


@hookimpl
def oss_personas() -> list[Descriptor]:
    """The persona ``fake``."""
    return [Descriptor("fake", "says it is a fake", f"{FAKES}:FAKE_PERSONA")]


@hookimpl
def oss_tools() -> list[Descriptor]:
    """The tool ``fake_tool``."""
    return [Descriptor("fake_tool", "returns a fixed text", f"{FAKES}:FakeTool")]


@hookimpl
def oss_retrievers() -> list[Descriptor]:
    """The retriever ``fake``."""
    return [Descriptor("fake", "an index in memory", f"{FAKES}:FakeRetriever")]


@hookimpl
def oss_embedders() -> list[Descriptor]:
    """The embedder ``fake``."""
    dimension = Option("dimension", "int", 64, "Length of the vectors.", minimum=1)
    return [
        Descriptor("fake", "hashed words", f"{FAKES}:FakeEmbedder", options=(dimension,)),
    ]
