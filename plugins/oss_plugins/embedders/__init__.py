"""Embedders: without torch by default, by any library or server otherwise."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor, Option
from oss.hookspecs import hookimpl

_THREADS = Option("threads", "int", 0, "Threads for documents; 0 is one for each core.", minimum=0)


@hookimpl
def oss_embedders() -> list[Descriptor]:
    """The default comes first."""
    return [
        Descriptor(
            "onnx",
            "all-MiniLM-L6-v2 in 8 bits, English, no torch (the default)",
            "oss_plugins.embedders.onnx:OnnxEmbedder",
            options=(_THREADS,),
            extra="retrieval",
        ),
        Descriptor(
            "multilingual",
            "multilingual-e5-small in 8 bits, a hundred languages, no torch",
            "oss_plugins.embedders.onnx:MultilingualEmbedder",
            options=(_THREADS,),
            extra="retrieval",
        ),
    ]
