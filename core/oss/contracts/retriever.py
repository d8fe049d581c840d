"""Retrievers find passages in a user's documents; embedders make their vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True)
class Document:
    """A text to index. ``id`` is stable (a path, a URL); ``metadata`` holds plain JSON values."""

    id: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Passage:
    """A found piece of a document.

    :param source: the document's id.
    :param span: first and last character of the piece in the document's text, half open.
    :param score: higher is better; comparable within one search alone.
    """

    text: str
    source: str
    span: tuple[int, int] = (0, 0)
    score: float = 0.0
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class IndexReport:
    """What one call of :meth:`Retriever.index` did, in documents and chunks."""

    added: int = 0
    unchanged: int = 0
    removed: int = 0
    embedded_chunks: int = 0


class Retriever(ABC):
    """An index that can be filled and searched."""

    @abstractmethod
    async def index(self, documents: Iterable[Document]) -> IndexReport:
        """Add or replace documents by id; unchanged content is not embedded again."""

    @abstractmethod
    async def search(
        self, query: str, k: int = 5, where: Mapping[str, Any] | None = None
    ) -> list[Passage]:
        """The best ``k`` passages, best first; ``where`` compares metadata for equality."""


class Embedder(ABC):
    """Turns texts into vectors of one length."""

    name: str
    dimension: int

    @abstractmethod
    async def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text, for texts that are searched in."""

    @abstractmethod
    async def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
