"""Collections by name, each in its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from oss.contracts.errors import UsageError
from oss.contracts.store import StoreFeature, VectorStore
from oss.retrieval.folders import CollectionFolder, no_such_collection
from oss_faiss.collection import FaissCollection

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.store import CollectionSettings


class FaissStore(VectorStore):
    """Collections in folders of this machine.

    :param index: ``flat`` or ``hnsw``; a collection may be opened with either.
    """

    name: ClassVar[str] = "faiss"
    features: ClassVar[frozenset[StoreFeature]] = frozenset({StoreFeature.FILTER})

    def __init__(self, folder: Path, *, index: str = "flat") -> None:
        # A folder of its own: other stores list what lies directly under `folder` as theirs.
        self.folder = folder / ".faiss"
        self.address = str(self.folder)
        self.index = index

    def list(self) -> list[str]:
        """The names, sorted."""
        return CollectionFolder.names(self.folder)

    def exists(self, name: str) -> bool:
        """Whether there is such a collection."""
        return CollectionFolder(self.folder, name).exists

    def settings(self, name: str) -> CollectionSettings:
        """What it was made with."""
        return self._folder(name).read_settings()

    def create(self, name: str, settings: CollectionSettings) -> FaissCollection:
        """Make and open."""
        folder = CollectionFolder(self.folder, name)
        folder.lock()
        try:
            if folder.exists:
                raise UsageError(f"collection '{name}' exists", hint=f"oss docs show {name}")
            FaissCollection.remove_files(folder)  # of a process that was killed while it made it
            collection = FaissCollection(folder, settings, self.index)
            folder.write_settings(settings)
        except BaseException:
            folder.unlock()
            raise
        return collection

    def open(self, name: str) -> FaissCollection:
        """Open what is there."""
        folder = self._folder(name)
        folder.lock()
        try:
            return FaissCollection(folder, folder.read_settings(), self.index)
        except BaseException:
            folder.unlock()
            raise

    def drop(self, name: str) -> None:
        """Delete it."""
        self._folder(name).remove()

    def _folder(self, name: str) -> CollectionFolder:
        folder = CollectionFolder(self.folder, name)
        if not folder.exists:
            raise no_such_collection(name, self.list())
        return folder
