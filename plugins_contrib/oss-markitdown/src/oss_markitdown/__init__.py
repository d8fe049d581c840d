"""MarkItDown as a loader of documents."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor
from oss.hookspecs import hookimpl


@hookimpl
def oss_loaders() -> list[Descriptor]:
    """The loader ``markitdown``: for what has no loader, and for what it is asked for."""
    return [
        Descriptor(
            "markitdown",
            "slides, spreadsheets, Outlook messages, by MarkItDown",
            "oss_markitdown.loader:MarkItDownLoader",
            capabilities=frozenset((".pptx", ".xlsx", ".xls", ".msg")),
        )
    ]
