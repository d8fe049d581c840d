"""Retrievers find passages in a user's documents; embedders make their vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from oss.contracts.filters import Filter
    from oss.contracts.model import Progress


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
    async def search(self, query: str, k: int = 5, where: Filter | None = None) -> list[Passage]:
        """The best ``k`` passages for which ``where`` holds, best first.

        :raises UsageError: the index is missing, or was made with another embedder.
        :raises BusyError: another process holds it.
        """

    @abstractmethod
    async def count(self) -> int:
        """How many passages it holds; 0 is an empty index, not a question without an answer."""


class Embedder(ABC):
    """Turns texts into vectors of one length, for comparison by cosine.

    :ivar dimension: length of the vectors; 0 until the first text where only a server knows it.
    :ivar languages: two-letter codes of the languages it was made for; ``None`` is 'many'.
    :ivar max_tokens: what lies behind this many tokens of a text is not seen; 0 is unknown.
    """

    name: str
    dimension: int
    languages: frozenset[str] | None = None
    max_tokens: int = 0

    @property
    def fingerprint(self) -> str:
        """Says which weights and which preparation of texts make the vectors: two embedders with
        one fingerprint can read each other's index. The name alone by default.
        """
        return self.name

    @abstractmethod
    async def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text, for texts that are searched in. Any number of texts: it batches
        by itself. An empty text has a vector too.

        :raises ModelError: its weights are missing or broken.
        :raises NetworkError: they, or the server that embeds, cannot be reached.
        """

    @abstractmethod
    async def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""

    async def prepare(self, progress: Progress) -> None:  # noqa: ARG002
        """Fetch or make what it needs, with progress for a person who waits; without this call
        it happens at the first text. Nothing by default.
        """
        return

    async def close(self) -> None:
        """Free what it holds (a session, a connection); it may be used again afterwards."""
        return


class Reranker(ABC):
    """Puts found passages in a better order than the search could."""

    name: str

    @abstractmethod
    async def score(self, query: str, passages: Sequence[Passage]) -> list[float]:
        """One number per passage, higher is better.

        :raises ModelError: its weights are missing or broken.
        """
