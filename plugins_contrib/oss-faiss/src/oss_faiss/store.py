"""Collections by name, each in its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from oss.contracts.store import StoreFeature
from oss.retrieval.folder_store import FolderStore
from oss_faiss.collection import FaissCollection

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.store import CollectionSettings
    from oss.retrieval.folders import CollectionFolder


class FaissStore(FolderStore):
    """Collections in folders of this machine.

    :param index: ``flat`` or ``hnsw``; a collection may be opened with either.
    """

    name: ClassVar[str] = "faiss"
    features: ClassVar[frozenset[StoreFeature]] = frozenset({StoreFeature.FILTER})

    def __init__(self, folder: Path, *, index: str = "flat") -> None:
        super().__init__(folder, ".faiss")
        self.index = index

    def make(self, folder: CollectionFolder, settings: CollectionSettings) -> FaissCollection:
        """A new database and index."""
        FaissCollection.remove_files(folder)
        collection = FaissCollection(folder, settings, self.index)
        folder.write_settings(settings)
        return collection

    def load(self, folder: CollectionFolder) -> FaissCollection:
        """What is there."""
        return FaissCollection(folder, folder.read_settings(), self.index)
