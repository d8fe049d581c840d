"""The shared suites over LanceDB as it runs in this process, and what is its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from oss.contracts.errors import StorageError
from oss.plugins.options import validate
from oss.retrieval.completing import complete_store
from oss.testing.conformance.store import SETTINGS, StoreConformance, make_point, unit
from oss.testing.conformance.store_folder import FolderStoreConformance
from oss.testing.conformance.store_hybrid import HybridConformance
from oss_lancedb.store import LanceStore

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.store import VectorStore

lancedb = pytest.importorskip("lancedb")


class TestLance(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        return LanceStore(tmp_path / "collections")


class TestLanceCompleted(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        return complete_store(LanceStore(tmp_path), tmp_path)


class TestLanceFolder(FolderStoreConformance):
    target: ClassVar[str] = "oss_lancedb.store:LanceStore"


class TestLanceHybrid(HybridConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        return complete_store(LanceStore(tmp_path), tmp_path)


class TestLanceIndexed(StoreConformance):
    """With the indexes that a large table has."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        return LanceStore(tmp_path, index_from=256)


def test_options_are_declared() -> None:
    from oss_lancedb import oss_stores

    (descriptor,) = oss_stores()
    assert validate(descriptor, {"index_from": 300}, "x") == {"index_from": 300}


def test_lancedb_itself_reads_the_table(tmp_path: Path) -> None:
    store = LanceStore(tmp_path)
    with store.create("work", SETTINGS) as collection:
        collection.upsert([make_point(n) for n in range(5)])
    table = lancedb.connect(str(store.folder / "work" / "lance")).open_table("points")
    (row,) = table.search().where("chunk = 3").to_list()
    assert row["text"] == make_point(3).text
    assert row["source"] == make_point(3).metadata["source"]


def test_indexes_are_used_and_what_comes_later_is_found(tmp_path: Path) -> None:
    store = LanceStore(tmp_path, index_from=256)
    with store.create("work", SETTINGS) as collection:
        collection.upsert([make_point(n) for n in range(1500)])
        collection.optimize()
        table = collection._table  # type: ignore[attr-defined]
        assert {tuple(index.columns) for index in table.list_indices()} == {("id",), ("vector",)}
        collection.upsert([make_point(n) for n in range(1490, 1600)])
        assert collection.count() == 1600
        right = sum(
            collection.dense(unit(n), 1)[0].id == make_point(n).id for n in range(0, 1600, 16)
        )
        assert right >= 98
        collection.optimize()
        assert len(table.list_versions()) <= 3  # the last steps of optimizing, no older ones
    with store.open("work") as collection:
        assert collection.fetch([make_point(1595).id])[0].text == make_point(1595).text


def test_a_damaged_table_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    store = LanceStore(tmp_path)
    store.create("work", SETTINGS).close()
    for file in (store.folder / "work" / "lance").rglob("*.manifest"):
        file.write_bytes(b"junk")
    for _ in range(2):  # and it is let go
        with pytest.raises(StorageError, match="'work'"):
            store.open("work")
