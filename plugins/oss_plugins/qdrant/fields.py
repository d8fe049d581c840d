"""How points look in Qdrant, embedded or on a server: the layout LangChain reads as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oss.contracts.store import Point

TEXT = "page_content"
METADATA = "metadata"
SPARSE = "bm25"


def payload_of(point: Point) -> dict[str, Any]:
    """What lies beside the vectors."""
    return {TEXT: point.text, METADATA: dict(point.metadata)}


def key_of(field: str) -> str:
    """The path of a metadata field in the payload."""
    return f"{METADATA}.{field}"
