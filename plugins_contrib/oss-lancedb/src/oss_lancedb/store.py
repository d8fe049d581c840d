"""Collections by name, each a table of LanceDB in its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from oss.contracts.store import StoreFeature
from oss.retrieval.folder_store import FolderStore

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.store import Collection, CollectionSettings
    from oss.retrieval.folders import CollectionFolder


class LanceStore(FolderStore):
    """Collections in folders of this machine.

    :param index_from: points from which on a table gets an index when it is optimized.
    """

    name: ClassVar[str] = "lancedb"
    features: ClassVar[frozenset[StoreFeature]] = frozenset({StoreFeature.FILTER})

    def __init__(self, folder: Path, *, index_from: int = 20_000) -> None:
        super().__init__(folder, ".lancedb")
        self.index_from = index_from

    def make(self, folder: CollectionFolder, settings: CollectionSettings) -> Collection:
        """A new table."""
        from oss_lancedb.collection import LanceCollection

        return LanceCollection.create(folder, settings, self.index_from)

    def load(self, folder: CollectionFolder) -> Collection:
        """The table that is there."""
        from oss_lancedb.collection import LanceCollection

        return LanceCollection.open(folder, self.index_from)
