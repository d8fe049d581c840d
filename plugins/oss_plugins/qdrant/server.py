"""Collections on a Qdrant server or cluster, through ``qdrant-client``.

The settings of a collection are its metadata on the server, so that every machine that uses it
sees them.
"""

from __future__ import annotations

import os
import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from oss.contracts.errors import ConfigError, NetworkError, StorageError, UsageError
from oss.contracts.store import (
    Collection,
    CollectionSettings,
    Hit,
    Point,
    SparseVector,
    VectorStore,
)
from oss.contracts.store import StoreFeature as Feature
from oss.retrieval.extras import needs_extra
from oss.retrieval.fields import INDEXED
from oss.retrieval.folders import check_name, no_such_collection
from oss_plugins.qdrant import fields
from oss_plugins.qdrant.conditions import Words, translate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from oss.contracts.filters import Filter

_BATCH = 256
_VALUES = 1_000_000
_SETTINGS = "oss"


@contextmanager
def _server_errors(url: str) -> Iterator[None]:
    """The client raises its own and its transport's exceptions."""
    with needs_extra("qdrant-server"):
        import httpx
        from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse
    try:
        yield
    except UnexpectedResponse as error:
        if error.status_code in (401, 403):
            raise ConfigError(
                f"the Qdrant server at {url} refuses the key",
                hint="set the variable that `key_env` of the retriever's options names",
            ) from error
        content = error.content.decode("utf-8", "replace")[:200]
        raise StorageError(
            f"the Qdrant server at {url} answered {error.status_code}: {content}"
        ) from error
    except (ResponseHandlingException, httpx.TransportError) as error:
        raise NetworkError(
            f"no answer from the Qdrant server at {url}: {error}",
            hint="see that it runs, and that `url` of the retriever's options is right",
        ) from error


class Server(VectorStore):
    """A connection, made at the first use; ``:memory:`` as address is the client's own
    stand-in, for tests.
    """

    name: ClassVar[str] = "qdrant"
    features: ClassVar[frozenset[Feature]] = frozenset(Feature)

    def __init__(
        self,
        url: str,
        *,
        key_env: str,
        prefix: str,
        shards: int,
        replication: int,
        timeout: int,
    ) -> None:
        if not re.match(r"https?://|:memory:$", url):
            raise ConfigError(
                f"'{url}' is not the address of a Qdrant server",
                hint="write it like http://localhost:6333",
            )
        self.url = url
        self.prefix = prefix
        self._key = os.environ.get(key_env) if key_env else None
        self._shards = shards
        self._replication = replication
        self._timeout = timeout
        self._client: Any = None

    @property
    def client(self) -> Any:
        """The client of the library."""
        if self._client is None:
            with needs_extra("qdrant-server"):
                from qdrant_client import QdrantClient
            if self.url == ":memory:":
                self._client = QdrantClient(":memory:")
            else:
                # The client warns when a key goes over plain HTTP, which on loopback is harmless.
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    self._client = QdrantClient(
                        url=self.url,
                        api_key=self._key,
                        timeout=self._timeout,
                        check_compatibility=False,
                    )
        return self._client

    def list(self) -> list[str]:
        """The collections with this prefix that oss made or may read."""
        with _server_errors(self.url):
            names = [c.name for c in self.client.get_collections().collections]
        return sorted(n.removeprefix(self.prefix) for n in names if n.startswith(self.prefix))

    def exists(self, name: str) -> bool:
        """Whether the server has it."""
        check_name(name)
        with _server_errors(self.url):
            return bool(self.client.collection_exists(self.prefix + name))

    def create(self, name: str, settings: CollectionSettings) -> Collection:
        """Make it, with indexes on the payload before any point comes."""
        if self.exists(name):
            raise UsageError(f"collection '{name}' exists", hint=f"oss docs show {name}")
        from qdrant_client import models

        with _server_errors(self.url):
            self.client.create_collection(
                self.prefix + name,
                vectors_config=models.VectorParams(
                    size=settings.dimension, distance=models.Distance.COSINE
                ),
                sparse_vectors_config={
                    fields.SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)
                },
                shard_number=self._shards,
                replication_factor=self._replication,
                metadata={_SETTINGS: msgspec.to_builtins(settings)},
            )
            for field, kind in INDEXED.items():
                with warnings.catch_warnings():
                    # In memory there are no indexes, which the client says with a warning.
                    warnings.filterwarnings("ignore", message="Payload indexes")
                    self.client.create_payload_index(
                        self.prefix + name, fields.key_of(field), kind, wait=True
                    )
        return ServerCollection(self, name, settings)

    def settings(self, name: str) -> CollectionSettings:
        """From the collection's metadata; one that another program made has none."""
        if not self.exists(name):
            raise no_such_collection(name, self.list())
        with _server_errors(self.url):
            config = self.client.get_collection(self.prefix + name).config
        stored = (config.metadata or {}).get(_SETTINGS)
        if stored is None:
            raise UsageError(
                f"collection '{name}' at {self.url} was not made by oss: its embedder is unknown",
                hint="make one with: oss docs add, or oss docs migrate",
            )
        return msgspec.convert(stored, CollectionSettings)

    def open(self, name: str) -> Collection:
        """The collection."""
        return ServerCollection(self, name, self.settings(name))

    def drop(self, name: str) -> None:
        """Delete it."""
        if not self.exists(name):
            raise no_such_collection(name, self.list())
        with _server_errors(self.url):
            self.client.delete_collection(self.prefix + name)


class ServerCollection(Collection):
    """A collection of a server; every write waits until it is applied."""

    features: ClassVar[frozenset[Feature]] = frozenset(Feature)

    def __init__(self, server: Server, name: str, settings: CollectionSettings) -> None:
        from qdrant_client import models

        self.name = name
        self._server = server
        self._full = server.prefix + name
        self._settings = settings
        self._models = models
        self._words = Words(
            group=models.Filter,
            equals=lambda key, value: models.FieldCondition(
                key=key, match=models.MatchValue(value=value)
            ),
            one_of=lambda key, values: models.FieldCondition(
                key=key, match=models.MatchAny(any=values)
            ),
            between=lambda key, **bounds: models.FieldCondition(
                key=key, range=models.Range(**bounds)
            ),
            nothing=lambda: models.HasIdCondition(has_id=[]),
            values=self.values,
        )

    @property
    def settings(self) -> CollectionSettings:
        """What it was made with."""
        return self._settings

    def save_settings(self, settings: CollectionSettings) -> None:
        """As the collection's metadata."""
        with _server_errors(self._server.url):
            self._server.client.update_collection(
                self._full, metadata={_SETTINGS: msgspec.to_builtins(settings)}
            )
        self._settings = settings

    def _filter(self, where: Filter | None) -> Any:
        if where is None:
            return None
        found = translate(where, self._words)
        return (
            found if isinstance(found, self._models.Filter) else (self._models.Filter(must=[found]))
        )

    def upsert(self, points: Sequence[Point]) -> None:
        """Add or replace."""
        models = self._models
        for start in range(0, len(points), _BATCH):
            batch = []
            for point in points[start : start + _BATCH]:
                vector: dict[str, Any] = {"": list(map(float, point.dense or ()))}
                if point.sparse:
                    vector[fields.SPARSE] = models.SparseVector(
                        indices=list(point.sparse.indices), values=list(point.sparse.values)
                    )
                batch.append(
                    models.PointStruct(id=point.id, vector=vector, payload=fields.payload_of(point))
                )
            with _server_errors(self._server.url):
                self._server.client.upsert(self._full, batch, wait=True)

    def weigh(self, weights: Mapping[str, SparseVector]) -> None:
        """The sparse vectors alone."""
        models = self._models
        there = {point.id for point in self.fetch(list(weights))}
        vectors = [
            models.PointVectors(
                id=name,
                vector={
                    fields.SPARSE: models.SparseVector(
                        indices=list(vector.indices), values=list(vector.values)
                    )
                },
            )
            for name, vector in weights.items()
            if name in there
        ]
        for start in range(0, len(vectors), _BATCH):
            with _server_errors(self._server.url):
                self._server.client.update_vectors(
                    self._full, vectors[start : start + _BATCH], wait=True
                )

    def delete(self, ids: Sequence[str]) -> None:
        """Remove by id."""
        if ids:
            with _server_errors(self._server.url):
                self._server.client.delete(self._full, list(ids), wait=True)

    def dense(self, vector: Sequence[float], k: int, where: Filter | None = None) -> list[Hit]:
        """Nearest by cosine."""
        return self._query(list(map(float, vector)), None, k, where)

    def sparse(self, vector: SparseVector, k: int, where: Filter | None = None) -> list[Hit]:
        """Best by BM25."""
        if not vector.indices:
            return []
        query = self._models.SparseVector(indices=list(vector.indices), values=list(vector.values))
        return self._query(query, fields.SPARSE, k, where)

    def _query(self, query: Any, using: str | None, k: int, where: Filter | None) -> list[Hit]:
        with _server_errors(self._server.url):
            found = self._server.client.query_points(
                self._full,
                query=query,
                using=using,
                query_filter=self._filter(where),
                limit=k,
                with_payload=False,
            )
        return [Hit(str(point.id), point.score) for point in found.points]

    def fetch(self, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        """Points by id."""
        with _server_errors(self._server.url):
            records = self._server.client.retrieve(
                self._full, list(ids), with_payload=True, with_vectors=vectors
            )
        found = {str(record.id): _point(record) for record in records}
        return [found[name] for name in ids if name in found]

    def scroll(self, where: Filter | None = None, *, vectors: bool = False) -> Iterator[Point]:
        """All points, a batch at a time."""
        condition, offset = self._filter(where), None
        while True:
            with _server_errors(self._server.url):
                records, offset = self._server.client.scroll(
                    self._full,
                    scroll_filter=condition,
                    limit=_BATCH,
                    offset=offset,
                    with_payload=True,
                    with_vectors=vectors,
                )
            yield from map(_point, records)
            if offset is None:
                return

    def count(self, where: Filter | None = None) -> int:
        """Exactly how many."""
        with _server_errors(self._server.url):
            answer = self._server.client.count(
                self._full, count_filter=self._filter(where), exact=True
            )
        return int(answer.count)

    def values(self, field: str) -> dict[str | int | bool, int]:
        """From the index where there is one, else by looking at every point."""
        if field not in INDEXED:
            return super().values(field)
        with _server_errors(self._server.url):
            found = self._server.client.facet(
                self._full, fields.key_of(field), limit=_VALUES, exact=True
            )
        return {hit.value: hit.count for hit in found.hits}

    def flush(self) -> None:
        """Nothing to do: each write waited for the server's own log."""

    def close(self) -> None:
        """The connection stays with the store."""


def _point(record: Any) -> Point:
    payload = record.payload or {}
    vector = record.vector
    dense = vector.get("") if isinstance(vector, dict) else vector
    sparse = vector.get(fields.SPARSE) if isinstance(vector, dict) else None
    return Point(
        str(record.id),
        payload.get(fields.TEXT, ""),
        payload.get(fields.METADATA) or {},
        dense,
        SparseVector(tuple(sparse.indices), tuple(sparse.values)) if sparse else None,
    )
