"""The store that a profile names: embedded, or on a server when there is a ``url``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from oss.contracts.store import StoreFeature, VectorStore
from oss.retrieval.folder_store import FolderStore

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from oss.contracts.store import Collection, CollectionSettings
    from oss.retrieval.folders import CollectionFolder


class EmbeddedStore(FolderStore):
    """Each collection in its folder."""

    name: ClassVar[str] = "qdrant"
    features: ClassVar[frozenset[StoreFeature]] = frozenset(StoreFeature)

    def make(self, folder: CollectionFolder, settings: CollectionSettings) -> Collection:
        """A new shard."""
        from oss_plugins.qdrant.embedded import EmbeddedCollection

        return EmbeddedCollection.create(folder, settings)

    def load(self, folder: CollectionFolder) -> Collection:
        """The shard that is there."""
        from oss_plugins.qdrant.embedded import EmbeddedCollection

        return EmbeddedCollection.open(folder)


class QdrantStore(VectorStore):
    """Collections of Qdrant.

    :param url: a server's address; empty keeps each collection in its folder.
    :param key_env: the environment variable that holds the server's key.
    """

    name: ClassVar[str] = "qdrant"
    features: ClassVar[frozenset[StoreFeature]] = frozenset(StoreFeature)

    def __init__(
        self,
        folder: Path,
        *,
        url: str = "",
        key_env: str = "QDRANT_API_KEY",
        prefix: str = "",
        shards: int = 1,
        replication: int = 1,
        timeout: int = 30,
    ) -> None:
        self.folder = folder
        self.address = f"{url} {prefix}".strip() if url else ""
        self.place: VectorStore
        if not url:
            self.place = EmbeddedStore(folder)
            return
        from oss_plugins.qdrant.server import Server

        self.place = Server(
            url,
            key_env=key_env,
            prefix=prefix,
            shards=shards,
            replication=replication,
            timeout=timeout,
        )

    def list(self) -> Iterable[str]:
        """The names, sorted."""
        return self.place.list()

    def exists(self, name: str) -> bool:
        """Whether there is such a collection."""
        return self.place.exists(name)

    def settings(self, name: str) -> CollectionSettings:
        """What it was made with."""
        return self.place.settings(name)

    def create(self, name: str, settings: CollectionSettings) -> Collection:
        """Make and open."""
        return self.place.create(name, settings)

    def open(self, name: str) -> Collection:
        """Open what is there."""
        return self.place.open(name)

    def drop(self, name: str) -> None:
        """Delete it."""
        self.place.drop(name)
