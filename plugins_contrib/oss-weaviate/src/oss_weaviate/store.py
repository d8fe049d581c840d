"""Collections on a server. The settings of each are JSON in its description there, so that every
machine that uses it sees them.
"""

from __future__ import annotations

import logging
import os
import re
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import msgspec

from oss.contracts.errors import ConfigError, UsageError
from oss.contracts.store import Collection, CollectionSettings, StoreFeature, VectorStore
from oss.retrieval.fields import INDEXED
from oss.retrieval.folders import check_name, no_such_collection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT = "text"
JSON = "oss_metadata"
"""The property with the whole metadata; Weaviate's own have one type each."""


class Described(msgspec.Struct):
    """What the description of a collection says.

    :param oss: the collection's name; Weaviate allows fewer letters in its own.
    """

    oss: str
    settings: CollectionSettings


class WeaviateStore(VectorStore):
    """Collections of one server, connected to while they are used.

    :param folder: not used; everything is on the server.
    :param url: its address, ``https://`` for one that is not on this machine.
    :param grpc_port: the port on the same host that searches and writes go to.
    :param key_env: the environment variable that holds the key; without a key none is sent.
    """

    name: ClassVar[str] = "weaviate"
    features: ClassVar[frozenset[StoreFeature]] = frozenset({StoreFeature.FILTER})

    def __init__(
        self,
        folder: Path,  # noqa: ARG002  stores are constructed with it
        *,
        url: str = "http://localhost:8080",
        grpc_port: int = 50051,
        key_env: str = "WEAVIATE_API_KEY",
        prefix: str = "Oss",
        replication: int = 1,
        timeout: int = 30,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"'{url}' is not the address of a Weaviate server",
                hint="write it like http://localhost:8080",
            )
        if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", prefix):
            raise ConfigError(
                f"'{prefix}' cannot begin a name in Weaviate",
                hint="a capital letter, then letters and digits",
            )
        self.address = f"{url} {prefix}"
        self.url = url
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port or (443 if self._secure else 80)
        self._grpc_port = grpc_port
        self._key = os.environ.get(key_env) if key_env else None
        self._prefix = prefix
        self._replication = replication
        self._timeout = timeout
        self._lock = Lock()
        self._users = 0
        self._client: Any = None

    def connect(self) -> Any:
        """The client of the library; the first of those who use it at a time connects, the last
        to call :meth:`release` closes.
        """
        with self._lock:
            if self._client is None:
                self._client = self._connected()
            self._users += 1
            return self._client

    def release(self) -> None:
        """Done with the client."""
        with self._lock:
            self._users -= 1
            if not self._users:
                self._client.close()
                self._client = None

    @contextmanager
    def _using(self) -> Iterator[Any]:
        from oss_weaviate.faults import faults

        with faults(self.url):
            client = self.connect()
            try:
                yield client
            finally:
                self.release()

    def _connected(self) -> Any:
        import weaviate
        from weaviate.classes.init import AdditionalConfig, Auth, Timeout
        from weaviate.connect import ConnectionParams

        from oss_weaviate.faults import faults

        # It logs whole objects where some of a batch fail; what failed is in the error.
        logging.getLogger("weaviate-client").addHandler(logging.NullHandler())
        client = weaviate.WeaviateClient(
            connection_params=ConnectionParams.from_params(
                http_host=self._host,
                http_port=self._port,
                http_secure=self._secure,
                grpc_host=self._host,
                grpc_port=self._grpc_port,
                grpc_secure=self._secure,
            ),
            auth_client_secret=Auth.api_key(self._key) if self._key else None,
            additional_config=AdditionalConfig(
                timeout=Timeout(init=self._timeout, query=self._timeout, insert=3 * self._timeout)
            ),
            skip_init_checks=True,  # they ask a package index for a newer client
        )
        with faults(self.url):
            try:
                client.connect()
            except BaseException:
                client.close()
                raise
        return client

    def full_name(self, name: str) -> str:
        """The name on the server: what is no ASCII letter or digit is its code between ``_``."""
        check_name(name)
        coded = re.sub(r"[^A-Za-z0-9]", lambda match: f"_{ord(match[0]):x}_", name)
        return f"{self._prefix}_{coded}"

    def described(self) -> dict[str, CollectionSettings]:
        """The settings of all collections of this prefix, by name, in one request."""
        with self._using() as client:
            found = client.collections.list_all(simple=True)
        collections = {}
        for full, config in found.items():
            if full.startswith(f"{self._prefix}_"):
                try:
                    known = msgspec.json.decode(config.description or "", type=Described)
                except msgspec.DecodeError:
                    continue  # another program's
                collections[known.oss] = known.settings
        return collections

    def list(self) -> list[str]:
        """The names, sorted."""
        return sorted(self.described())

    def exists(self, name: str) -> bool:
        """Whether the server has it."""
        check_name(name)
        return name in self.described()

    def settings(self, name: str) -> CollectionSettings:
        """What it was made with."""
        check_name(name)
        known = self.described()
        if name not in known:
            raise no_such_collection(name, sorted(known))
        return known[name]

    def create(self, name: str, settings: CollectionSettings) -> Collection:
        """Make it, with its properties and their indexes."""
        from oss_weaviate.collection import WeaviateCollection

        if self.exists(name):
            raise UsageError(f"collection '{name}' exists", hint=f"oss docs show {name}")
        with self._using() as client:
            client.collections.create_from_dict(
                {
                    "class": self.full_name(name),
                    "description": description(name, settings),
                    "vectorizer": "none",
                    "vectorIndexType": "hnsw",
                    "vectorIndexConfig": {"distance": "cosine"},
                    "replicationConfig": {"factor": self._replication},
                    "properties": _properties(),
                }
            )
        return WeaviateCollection(self, name, settings)

    def open(self, name: str) -> Collection:
        """The collection."""
        from oss_weaviate.collection import WeaviateCollection

        return WeaviateCollection(self, name, self.settings(name))

    def drop(self, name: str) -> None:
        """Delete it."""
        self.settings(name)
        with self._using() as client:
            client.collections.delete(self.full_name(name))


def description(name: str, settings: CollectionSettings) -> str:
    """What a collection's description says of it."""
    return msgspec.json.encode(Described(name, settings)).decode()


def _properties() -> list[dict[str, Any]]:
    plain = [
        {
            "name": name,
            "dataType": ["text"],
            "indexFilterable": False,
            "indexSearchable": False,
        }
        for name in (TEXT, JSON)
    ]
    keywords = [
        {
            "name": field,
            "dataType": ["text"],
            "tokenization": "field",  # the whole value is one word
            "indexFilterable": True,
            "indexSearchable": False,
        }
        for field, kind in INDEXED.items()
        if kind == "keyword"
    ]
    numbers = [
        {
            "name": field,
            "dataType": ["number"],
            "indexFilterable": True,
            "indexRangeFilters": True,
        }
        for field, kind in INDEXED.items()
        if kind == "integer"
    ]
    return [*plain, *keywords, *numbers]
