"""Collections by name, each a database of Chroma in its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from oss.contracts.store import StoreFeature
from oss.retrieval.folder_store import FolderStore

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.store import Collection, CollectionSettings
    from oss.retrieval.folders import CollectionFolder


class ChromaStore(FolderStore):
    """Collections in folders of this machine.

    :param neighbours: links of a point in the graph of a new collection.
    :param explored: points looked at in a search of it.
    """

    name: ClassVar[str] = "chroma"
    features: ClassVar[frozenset[StoreFeature]] = frozenset({StoreFeature.FILTER})

    def __init__(self, folder: Path, *, neighbours: int = 16, explored: int = 100) -> None:
        super().__init__(folder, ".chroma")
        self.neighbours = neighbours
        self.explored = explored

    def make(self, folder: CollectionFolder, settings: CollectionSettings) -> Collection:
        """A new database."""
        from oss_chroma.collection import ChromaCollection

        return ChromaCollection.create(folder, settings, self.neighbours, self.explored)

    def load(self, folder: CollectionFolder) -> Collection:
        """The database that is there."""
        from oss_chroma.collection import ChromaCollection

        return ChromaCollection.open(folder)
