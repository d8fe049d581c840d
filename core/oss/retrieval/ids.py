"""Names of chunks that stay: the same text of the same source always has the same id."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAMESPACE = uuid.UUID("6f0d5dfc-6f1c-5c1b-9b6b-0a4a3c3f3d1e")


def text_hash(text: str) -> str:
    """SHA-256 of a chunk's text, as hexadecimal digits: the key of a vector cache."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def chunk_ids(source: str, hashes: Iterable[str]) -> list[str]:
    """UUIDs for the chunks of a source, by the hash of their text and, where a text comes more
    than once, by which occurrence it is. Chunks before or after do not matter, so that an edited
    paragraph leaves the ids of its neighbours alone.
    """
    seen: dict[str, int] = {}
    ids = []
    for digest in hashes:
        seen[digest] = seen.get(digest, 0) + 1
        ids.append(str(uuid.uuid5(_NAMESPACE, f"{source}\0{digest}\0{seen[digest]}")))
    return ids
