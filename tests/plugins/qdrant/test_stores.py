"""Both of Qdrant's stores pass the suite; and what is theirs alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import pytest

from oss.contracts.errors import ConfigError, NetworkError, StorageError
from oss.retrieval.moving import migrate
from oss.testing.conformance.store import SETTINGS, StoreConformance, make_point
from oss.testing.conformance.store_folder import FolderStoreConformance
from oss_plugins.qdrant.store import QdrantStore

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.store import VectorStore

pytest.importorskip("qdrant_edge")


class TestEmbedded(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        return QdrantStore(tmp_path / "collections")


class TestServer(StoreConformance):
    """Over the client's own stand-in: no server can be had where tests run."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        pytest.importorskip("qdrant_client")
        return QdrantStore(tmp_path, url=":memory:", prefix="oss-")


class TestEmbeddedFolder(FolderStoreConformance):
    target: ClassVar[str] = "oss_plugins.qdrant.store:QdrantStore"


def test_a_damaged_shard_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    store = QdrantStore(tmp_path)
    store.create("work", SETTINGS).close()
    for file in (tmp_path / "work" / "shard").glob("*.json"):
        file.write_text("{")
    with pytest.raises(StorageError, match="'work'"):
        store.open("work")


def test_no_server_is_a_network_error(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_client")
    store = QdrantStore(tmp_path, url="http://127.0.0.1:9", timeout=1)
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1:9"):
        store.open("work")
    with pytest.raises(ConfigError, match="not the address"):
        QdrantStore(tmp_path, url="localhost")


def test_from_this_machine_to_a_server_and_back(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_client")
    here = QdrantStore(tmp_path / "here")
    there = QdrantStore(tmp_path, url=":memory:", shards=2, replication=2)
    settings = replace(SETTINGS, languages=("ru", "en"), average_length=60.0)
    with here.create("work", settings) as collection:
        collection.upsert([make_point(n) for n in range(300)])
    for source, name, target, copy in (
        (here, "work", there, "copy"),
        (there, "copy", here, "again"),
    ):
        moved = migrate(source, name, target, copy, lambda *_: None)
        assert (moved.points, moved.overlap) == (300, 1.0)
    with here.open("work") as old, here.open("again") as new:
        assert {p.id: p for p in old.scroll()} == {p.id: p for p in new.scroll()}
        assert old.settings == new.settings
        ids = [point.id for point in old.scroll()]
        for one, other in zip(
            old.fetch(ids, vectors=True), new.fetch(ids, vectors=True), strict=True
        ):
            assert other.dense == pytest.approx(one.dense, abs=1e-6)
            assert other.sparse == one.sparse
