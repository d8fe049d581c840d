"""FAISS as a vector store: exact or HNSW, in one process."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor, Option
from oss.hookspecs import hookimpl


@hookimpl
def oss_stores() -> list[Descriptor]:
    """The store ``faiss``."""
    return [
        Descriptor(
            "faiss",
            "FAISS in this process: dense vectors, exact or HNSW, filters",
            "oss_faiss.store:FaissStore",
            options=(
                Option(
                    "index",
                    "str",
                    "flat",
                    "'flat' compares with every vector, 'hnsw' walks a graph.",
                    choices=("flat", "hnsw"),
                ),
            ),
        )
    ]
