"""The shared suites over Chroma as it runs in this process, and what is its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from oss.contracts.errors import StorageError
from oss.plugins.options import validate
from oss.retrieval.completing import complete_store
from oss.testing.conformance.store import SETTINGS, StoreConformance, make_point
from oss.testing.conformance.store_folder import FolderStoreConformance
from oss.testing.conformance.store_hybrid import HybridConformance
from oss_chroma.store import ChromaStore

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.store import VectorStore

chromadb = pytest.importorskip("chromadb")


class TestChroma(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        return ChromaStore(tmp_path / "collections")


class TestChromaCompleted(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        return complete_store(ChromaStore(tmp_path), tmp_path)


class TestChromaFolder(FolderStoreConformance):
    target: ClassVar[str] = "oss_chroma.store:ChromaStore"


class TestChromaHybrid(HybridConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        return complete_store(ChromaStore(tmp_path), tmp_path)


def test_options_are_declared() -> None:
    from oss_chroma import oss_stores

    (descriptor,) = oss_stores()
    assert validate(descriptor, {"explored": 200}, "x") == {"neighbours": 16, "explored": 200}


def test_chroma_itself_reads_the_collection(tmp_path: Path) -> None:
    store = ChromaStore(tmp_path)
    with store.create("work", SETTINGS) as collection:
        collection.upsert([make_point(n) for n in range(5)])
    client = chromadb.PersistentClient(
        str(store.folder / "work" / "chroma"),
        settings=chromadb.config.Settings(anonymized_telemetry=False),
    )
    try:
        theirs = client.get_collection("oss", embedding_function=None)
        found = theirs.get(where={"chunk": 3})
        assert found["documents"] == [make_point(3).text]
        assert found["metadatas"][0]["source"] == make_point(3).metadata["source"]
    finally:
        client.close()


def test_a_damaged_database_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    store = ChromaStore(tmp_path)
    store.create("work", SETTINGS).close()
    (store.folder / "work" / "chroma" / "chroma.sqlite3").write_bytes(b"junk" * 1000)
    for _ in range(2):  # and it is let go
        with pytest.raises(StorageError, match="'work'"):
            store.open("work")
