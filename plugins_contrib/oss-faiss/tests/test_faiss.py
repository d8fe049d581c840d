"""The shared suite over both indexes, and what a killed process leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from oss.plugins.options import validate
from oss.retrieval.completing import complete_store
from oss.testing.conformance.store import SETTINGS, StoreConformance, make_point, unit
from oss.testing.conformance.store_folder import FolderStoreConformance
from oss.testing.conformance.store_hybrid import HybridConformance
from oss_faiss.store import FaissStore

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.store import VectorStore


class TestFlat(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        return FaissStore(tmp_path / "collections")


class TestHnsw(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        return FaissStore(tmp_path / "collections", index="hnsw")


class TestFlatFolder(FolderStoreConformance):
    target: ClassVar[str] = "oss_faiss.store:FaissStore"


class TestHnswFolder(FolderStoreConformance):
    target: ClassVar[str] = "oss_faiss.store:FaissStore"
    options: ClassVar[dict[str, str]] = {"index": "hnsw"}


class TestFlatHybrid(HybridConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        return complete_store(FaissStore(tmp_path), tmp_path)


class TestHnswHybrid(HybridConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        return complete_store(FaissStore(tmp_path, index="hnsw"), tmp_path)


def test_options_are_declared() -> None:
    from oss_faiss import oss_stores

    (descriptor,) = oss_stores()
    assert validate(descriptor, {"index": "hnsw"}, "x") == {"index": "hnsw"}


@pytest.mark.parametrize("index", ["flat", "hnsw"])
@pytest.mark.parametrize("damage", ["missing", "junk", "old"])
def test_the_index_file_can_be_made_again(tmp_path: Path, index: str, damage: str) -> None:
    store = FaissStore(tmp_path, index=index)
    with store.create("work", SETTINGS) as collection:
        collection.upsert([make_point(n) for n in range(20)])
        collection.flush()
        (file,) = store.folder.glob("work/*.faiss")
        old = file.read_bytes()
        collection.delete([make_point(n).id for n in range(5)])
        collection.upsert([make_point(n) for n in range(15, 40)])
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(old if damage == "old" else b"junk")
    with store.open("work") as collection:
        assert collection.count() == 35
        for number in (7, 17, 33):
            assert collection.dense(unit(number), 1)[0].id == make_point(number).id
        assert make_point(3).id not in {hit.id for hit in collection.dense(unit(3), 35)}


def test_a_collection_opens_with_the_other_index(tmp_path: Path) -> None:
    with FaissStore(tmp_path).create("work", SETTINGS) as collection:
        collection.upsert([make_point(n) for n in range(20)])
    with FaissStore(tmp_path, index="hnsw").open("work") as collection:
        assert collection.dense(unit(7), 1)[0].id == make_point(7).id
