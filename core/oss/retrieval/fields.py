"""Metadata fields that the program itself writes: each is one plain value, so stores may keep them
in typed columns and indexes.
"""

from __future__ import annotations

from typing import Literal

INDEXED: dict[str, Literal["keyword", "integer"]] = {
    "source": "keyword",
    "language": "keyword",
    "format": "keyword",
    "page": "integer",
    "chunk": "integer",
    "words": "integer",
}
"""With an index where the store has such: without one a filter costs more than the search."""
