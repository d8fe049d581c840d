"""Vector stores: where chunks and their vectors lie, and are found by nearness.

A store is thin on purpose. Chunking, embedding, BM25, fusion, diversity and merging of neighbours
are shared code (:mod:`oss.retrieval`), and so is what a store says it lacks by leaving a
:class:`StoreFeature` out. A new store writes the two classes below and passes
:mod:`oss.testing.conformance.store`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from oss.contracts.filters import Filter


class StoreFeature(str, Enum):
    """What a store does itself; what is missing, shared code does."""

    SPARSE = "sparse"
    """Keeps sparse vectors and searches them with inverse document frequency."""
    FILTER = "filter"
    """Applies a filter while searching, not after."""


@dataclass(frozen=True)
class SparseVector:
    """The non-zero places of a sparse vector; ``indices`` are below 2**32 and differ."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Point:
    """A chunk as a store keeps it.

    :param id: a UUID; the same chunk of the same document always has the same.
    :param metadata: plain JSON values; ``source`` is always there, ``chunk`` (its number in the
        source) and ``sha256`` (of its text) for what this program indexed.
    :param dense: the embedding; ``None`` when read without vectors.
    """

    id: str
    text: str
    metadata: Mapping[str, Any]
    dense: Sequence[float] | None = None
    sparse: SparseVector | None = None


@dataclass(frozen=True)
class Hit:
    """A point found by one search; higher scores are better, within that search alone."""

    id: str
    score: float


@dataclass(frozen=True)
class CollectionSettings:
    """How a collection was made. Reading or adding with anything else would give nonsense, so it
    is kept with the collection and compared.

    :param embedder: the embedder's name and its options that are not defaults.
    :param fingerprint: which weights made the vectors (:attr:`Embedder.fingerprint`).
    :param chunker: how texts were cut, as :func:`oss.retrieval.chunking.chunker_name` says it.
    :param languages: languages of what was indexed, as two letters (ISO 639-1), most frequent
        first; questions are stemmed for all of them.
    :param average_length: words per chunk, which BM25 measures lengths by.
    :param version: changes with the points, for what shared code derives from them and keeps
        elsewhere; nothing that an indexer or a search looks at.
    """

    embedder: str
    dimension: int
    embedder_options: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    chunker: str = ""
    languages: tuple[str, ...] = ()
    average_length: float = 0.0
    format: int = 1
    version: str = ""


class Collection(ABC):
    """An open collection: points and the settings that they were made with.

    Blocking calls, used from one thread at a time; leave the ``with`` block to close it.
    What a call wrote is found by the next; it outlives a killed process after :meth:`flush`.

    :raises StorageError: from every method, when the disk is full or the data is damaged.
    :raises NetworkError: from every method, when a server does not answer.
    """

    name: str
    features: ClassVar[frozenset[StoreFeature]]

    @property
    @abstractmethod
    def settings(self) -> CollectionSettings:
        """What it was made with."""

    @abstractmethod
    def save_settings(self, settings: CollectionSettings) -> None:
        """Replace the settings (languages and average length change as documents come)."""

    @abstractmethod
    def upsert(self, points: Sequence[Point]) -> None:
        """Add the points; those with a known id are replaced whole."""

    def weigh(self, weights: Mapping[str, SparseVector]) -> None:
        """Replace the sparse vectors of points, by id, and nothing else of them; ids that are not
        there are no error. Only called with :attr:`StoreFeature.SPARSE`.
        """
        points = self.fetch(list(weights), vectors=True)
        self.upsert([replace(point, sparse=weights[point.id]) for point in points])

    @abstractmethod
    def delete(self, ids: Sequence[str]) -> None:
        """Remove points; ids that are not there are no error."""

    @abstractmethod
    def dense(self, vector: Sequence[float], k: int, where: Filter | None = None) -> list[Hit]:
        """The ``k`` nearest by cosine, best first; without :attr:`StoreFeature.FILTER`,
        ``where`` is never given.
        """

    def sparse(self, vector: SparseVector, k: int, where: Filter | None = None) -> list[Hit]:
        """The ``k`` best by sum of products weighted by inverse document frequency, best first;
        only called with :attr:`StoreFeature.SPARSE`.
        """
        raise NotImplementedError

    @abstractmethod
    def fetch(self, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        """Points by id, in the order asked for; those that are not there are left out."""

    @abstractmethod
    def scroll(self, where: Filter | None = None, *, vectors: bool = False) -> Iterator[Point]:
        """Every point that ``where`` holds for, in no particular order.

        ``where`` works in every store here: without :attr:`StoreFeature.FILTER`, with
        :func:`oss.retrieval.filters.holds`.
        """

    @abstractmethod
    def count(self, where: Filter | None = None) -> int:
        """How many points ``where`` holds for."""

    def values(self, field: str) -> dict[str | int | bool, int]:
        """The distinct values of a metadata field, and how many points have each."""
        found: dict[str | int | bool, int] = {}
        for point in self.scroll():
            value = point.metadata.get(field)
            if isinstance(value, str | int | bool):
                found[value] = found.get(value, 0) + 1
        return found

    @abstractmethod
    def flush(self) -> None:
        """Return when everything written so far would outlive a killed process."""

    def optimize(self) -> None:
        """Build or rebuild indexes after large changes; may take long. Nothing by default."""
        return

    @abstractmethod
    def close(self) -> None:
        """Flush, and let others open it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class VectorStore(ABC):
    """A place that holds collections by name. Cheap to construct; opens nothing.

    Constructed with ``folder``, where collections of this machine lie (one folder each, by
    name; a store on a server may leave it alone), and the validated options of its descriptor,
    as keywords.

    :ivar address: where the collections are; empty for the folders that ``folder`` names.
    """

    name: ClassVar[str]
    features: ClassVar[frozenset[StoreFeature]]
    address: str = ""

    @abstractmethod
    def list(self) -> Iterable[str]:
        """The names of the collections, sorted."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is such a collection."""

    @abstractmethod
    def settings(self, name: str) -> CollectionSettings:
        """What a collection was made with, without opening it, so while another process has it.

        :raises UsageError: there is none of this name, or another program made it.
        """

    @abstractmethod
    def create(self, name: str, settings: CollectionSettings) -> Collection:
        """Make a collection and open it.

        :raises UsageError: it exists.
        """

    @abstractmethod
    def open(self, name: str) -> Collection:
        """Open a collection.

        :raises UsageError: there is none of this name.
        :raises BusyError: another process has it open, and did not let go within a short wait.
        """

    @abstractmethod
    def drop(self, name: str) -> None:
        """Delete a collection and everything in it.

        :raises UsageError: there is none of this name.
        :raises BusyError: as for :meth:`open`.
        """
