"""The store that a profile names: embedded, or on a server when there is a ``url``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from oss.contracts.errors import UsageError
from oss.contracts.store import StoreFeature, VectorStore
from oss.retrieval.folders import CollectionFolder, no_such_collection

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.store import Collection, CollectionSettings
    from oss_plugins.qdrant.server import Server


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
        self._server: Server | None = None
        if url:
            from oss_plugins.qdrant.server import Server

            self._server = Server(
                url,
                key_env=key_env,
                prefix=prefix,
                shards=shards,
                replication=replication,
                timeout=timeout,
            )

    def list(self) -> list[str]:
        """The names, sorted."""
        return self._server.list() if self._server else CollectionFolder.names(self.folder)

    def exists(self, name: str) -> bool:
        """Whether there is such a collection."""
        if self._server:
            return self._server.exists(name)
        return CollectionFolder(self.folder, name).exists

    def settings(self, name: str) -> CollectionSettings:
        """What it was made with."""
        if self._server:
            return self._server.settings(name)
        folder = CollectionFolder(self.folder, name)
        if not folder.exists:
            raise no_such_collection(name, self.list())
        return folder.read_settings()

    def create(self, name: str, settings: CollectionSettings) -> Collection:
        """Make and open."""
        if self._server:
            return self._server.create(name, settings)
        from oss_plugins.qdrant.embedded import EmbeddedCollection

        folder = CollectionFolder(self.folder, name)
        folder.lock()
        try:
            if folder.exists:
                raise UsageError(f"collection '{name}' exists", hint=f"oss docs show {name}")
            return EmbeddedCollection.create(folder, settings)
        except BaseException:
            folder.unlock()
            raise

    def open(self, name: str) -> Collection:
        """Open what is there."""
        if self._server:
            return self._server.open(name)
        from oss_plugins.qdrant.embedded import EmbeddedCollection

        folder = CollectionFolder(self.folder, name)
        if not folder.exists:
            raise no_such_collection(name, self.list())
        folder.lock()
        try:
            if not folder.exists:  # removed while this process waited
                raise no_such_collection(name, self.list())
            return EmbeddedCollection.open(folder)
        except BaseException:
            folder.unlock()
            raise

    def drop(self, name: str) -> None:
        """Delete it."""
        if self._server:
            self._server.drop(name)
            return
        folder = CollectionFolder(self.folder, name)
        if not folder.exists:
            raise no_such_collection(name, self.list())
        folder.remove()
