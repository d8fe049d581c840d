"""Embedders: without torch by default, by any library or server otherwise."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor, Option
from oss.hookspecs import hookimpl

_THREADS = Option("threads", "int", 0, "Threads for documents; 0 is one for each core.", minimum=0)

_DIMENSION = Option("dimension", "int", 0, "Length of the vectors; 0 asks the model.", minimum=0)


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
        Descriptor(
            "static",
            "one vector per token: very fast, English, worse than BM25 alone",
            "oss_plugins.embedders.static:StaticEmbedder",
            extra="retrieval",
        ),
        Descriptor(
            "sentence-transformers",
            "any model of sentence-transformers, on torch",
            "oss_plugins.embedders.sentence_transformers:SentenceTransformersEmbedder",
            options=(
                Option(
                    "model",
                    "str",
                    "sentence-transformers/all-MiniLM-L6-v2",
                    "A folder, or a name on the hub.",
                ),
                Option("device", "str", "auto", "`auto`, `cpu`, `cuda`, `mps`."),
                Option(
                    "dimension", "int", 0, "Length of the vectors; 0 asks the model.", minimum=0
                ),
            ),
            extra="sentence-transformers",
        ),
        Descriptor(
            "backend",
            "embeddings of a backend: an OpenAI-compatible server, or an engine here",
            "oss_plugins.embedders.engine:EngineEmbedder",
            options=(
                Option("model", "str", "", "Its name on the server, or a model of this machine."),
                Option("backend", "str", "openai", "Which backend opens it."),
                Option("options", "list", [], "Options of the backend, as `key=value`."),
                Option("query_prefix", "str", "", "Put before questions."),
                Option("document_prefix", "str", "", "Put before documents."),
                Option(
                    "dimension", "int", 0, "Length of the vectors; 0 asks the model.", minimum=0
                ),
            ),
        ),
    ]
