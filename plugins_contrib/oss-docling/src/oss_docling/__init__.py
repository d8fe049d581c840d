"""Docling as a loader of documents."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor
from oss.hookspecs import hookimpl


@hookimpl
def oss_loaders() -> list[Descriptor]:
    """The loader ``docling``: for what has no loader, and for what it is asked for."""
    return [
        Descriptor(
            "docling",
            "documents laid out by Docling's models: columns, tables, scans",
            "oss_docling.loader:DoclingLoader",
            capabilities=frozenset((".pptx", ".xlsx", ".odt", ".ods", ".odp")),
        )
    ]
