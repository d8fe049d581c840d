"""Chroma as a vector store: in one process, its own files."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor, Option
from oss.hookspecs import hookimpl


@hookimpl
def oss_stores() -> list[Descriptor]:
    """The store ``chroma``."""
    return [
        Descriptor(
            "chroma",
            "Chroma in this process: dense vectors in HNSW, filters",
            "oss_chroma.store:ChromaStore",
            options=(
                Option("neighbours", "int", 16, "HNSW: links of a point.", minimum=4),
                Option("explored", "int", 100, "HNSW: points looked at in a search.", minimum=10),
            ),
        )
    ]
