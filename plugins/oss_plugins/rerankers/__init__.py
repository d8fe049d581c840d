"""Rerankers: a better order for what was found, at the price of more work per question."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor, Option
from oss.hookspecs import hookimpl


@hookimpl
def oss_rerankers() -> list[Descriptor]:
    """One without weights of its own, one with any cross-encoder's."""
    return [
        Descriptor(
            "sentences",
            "the collection's own embedder, over windows of a few sentences",
            "oss_plugins.rerankers.sentences:SentencesReranker",
            options=(
                Option("window", "int", 3, "Sentences in a window.", minimum=1, maximum=10),
                Option("top", "int", 20, "How many of the hits to look at.", minimum=2),
            ),
            extra="retrieval",
        ),
        Descriptor(
            "cross-encoder",
            "a cross-encoder of sentence-transformers, on torch",
            "oss_plugins.rerankers.cross_encoder:CrossEncoderReranker",
            options=(
                Option(
                    "model",
                    "str",
                    "cross-encoder/ms-marco-MiniLM-L6-v2",
                    "A folder, or a name on the hub.",
                ),
                Option("top", "int", 50, "How many of the hits to look at.", minimum=2),
            ),
            extra="sentence-transformers",
        ),
    ]
