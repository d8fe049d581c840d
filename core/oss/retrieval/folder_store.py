"""What stores share that keep each collection in a folder of this machine: names, lock, errors."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from oss.contracts.errors import UsageError
from oss.contracts.store import Collection, VectorStore
from oss.retrieval.folders import CollectionFolder, no_such_collection

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.store import CollectionSettings


class FolderStore(VectorStore):
    """A store of one process at a time. A subclass makes and loads what lies in a locked folder,
    and its collections unlock the folder when they are closed.

    :param folder: where the collections of this machine lie.
    :param under: a folder below it for this store alone; the default store has none, and lists
        what lies directly under ``folder`` as its own.
    """

    def __init__(self, folder: Path, under: str = "") -> None:
        self.folder = folder / under if under else folder
        self.address = str(self.folder) if under else ""

    @abstractmethod
    def make(self, folder: CollectionFolder, settings: CollectionSettings) -> Collection:
        """A new collection in a locked folder. What is there is of a process that was killed while
        it made one. Writes the settings last: without them there is no collection.
        """

    @abstractmethod
    def load(self, folder: CollectionFolder) -> Collection:
        """The collection of a locked folder."""

    def list(self) -> list[str]:
        """The names, sorted."""
        return CollectionFolder.names(self.folder)

    def exists(self, name: str) -> bool:
        """Whether there is such a collection."""
        return CollectionFolder(self.folder, name).exists

    def settings(self, name: str) -> CollectionSettings:
        """What it was made with."""
        return self._existing(name).read_settings()

    def create(self, name: str, settings: CollectionSettings) -> Collection:
        """Make and open."""
        folder = CollectionFolder(self.folder, name)
        folder.lock()
        try:
            if folder.exists:
                raise UsageError(f"collection '{name}' exists", hint=f"oss docs show {name}")
            return self.make(folder, settings)
        except BaseException:
            folder.unlock()
            raise

    def open(self, name: str) -> Collection:
        """Open what is there."""
        folder = self._existing(name)
        folder.lock()
        try:
            if not folder.exists:  # removed while this process waited
                raise no_such_collection(name, self.list())
            return self.load(folder)
        except BaseException:
            folder.unlock()
            raise

    def drop(self, name: str) -> None:
        """Delete it."""
        self._existing(name).remove()

    def _existing(self, name: str) -> CollectionFolder:
        folder = CollectionFolder(self.folder, name)
        if not folder.exists:
            raise no_such_collection(name, self.list())
        return folder


class FolderCollection(Collection):
    """An open collection of such a store: in a locked folder, which has a file for its settings."""

    def __init__(self, folder: CollectionFolder, settings: CollectionSettings) -> None:
        self.name = folder.name
        self._folder = folder
        self._settings = settings

    @property
    def settings(self) -> CollectionSettings:
        """What it was made with."""
        return self._settings

    def save_settings(self, settings: CollectionSettings) -> None:
        """Write the settings file anew."""
        self._folder.write_settings(settings)
        self._settings = settings
