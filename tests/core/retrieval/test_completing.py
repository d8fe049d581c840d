"""Stores without sparse vectors, with an index of them beside."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from oss.contracts.store import SparseVector
from oss.retrieval.completing import FOLDER, complete_store
from oss.retrieval.sparse import query_vector
from oss.retrieval.sparse_index import Entry, SparseIndex
from oss.testing.conformance.store import SETTINGS, StoreConformance, make_point
from oss.testing.conformance.store_hybrid import HybridConformance
from oss.testing.fake_store import FakeStore
from oss_plugins.qdrant.store import QdrantStore

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.store import VectorStore

pytest.importorskip("numpy")
pytest.importorskip("mmh3")


class TestCompletedStore(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        return complete_store(FakeStore(), tmp_path)


class TestCompletedHybrid(HybridConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        return complete_store(FakeStore(), tmp_path)


class TestQdrantHybrid(HybridConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        pytest.importorskip("qdrant_edge")
        return complete_store(QdrantStore(tmp_path), tmp_path)


class TestQdrantServerHybrid(HybridConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        pytest.importorskip("qdrant_client")
        return complete_store(QdrantStore(tmp_path, url=":memory:"), tmp_path)


def words_of(store: VectorStore, question: str) -> list[str]:
    with store.open("work") as collection:
        hits = collection.sparse(query_vector(question, SETTINGS.languages), 5)
        return sorted(point.text for point in collection.fetch([hit.id for hit in hits]))


def test_an_index_that_is_behind_is_brought_up_to_date(tmp_path: Path) -> None:
    inner = FakeStore()
    store = complete_store(inner, tmp_path)
    with store.create("work", SETTINGS) as collection:
        collection.upsert([make_point(n, f"walrus {n}") for n in range(3)])
    # Another machine writes to the same server: it has an index of its own.
    elsewhere = complete_store(inner, tmp_path / "elsewhere")
    with elsewhere.open("work") as collection:
        collection.upsert(
            [make_point(1, "a badger", {"sha256": "badger"}), make_point(7, "walrus 7")]
        )
        collection.delete([make_point(2).id])
    assert words_of(store, "walrus") == ["walrus 0", "walrus 7"]
    assert words_of(store, "badgers") == ["a badger"]
    (file,) = (tmp_path / FOLDER).rglob("*.sqlite")
    for damage in (file.unlink, lambda: file.write_bytes(b"junk" * 500)):
        damage()
        assert words_of(store, "walrus") == ["walrus 0", "walrus 7"]


def test_a_change_of_the_average_length_elsewhere_is_seen(tmp_path: Path) -> None:
    inner = FakeStore()
    store, elsewhere = (complete_store(inner, tmp_path / name) for name in "ab")
    with store.create("work", SETTINGS) as collection:
        collection.upsert([make_point(0, "walrus " * 3)])
    with elsewhere.open("work") as collection:
        before = collection.fetch([make_point(0).id], vectors=True)[0].sparse
        collection.save_settings(dataclasses.replace(collection.settings, average_length=30.0))
        collection.weigh({make_point(0).id: SparseVector((1,), (1.0,))})
    with store.open("work") as collection:
        after = collection.fetch([make_point(0).id], vectors=True)[0].sparse
    assert before is not None
    assert after is not None
    assert after.indices == before.indices
    assert after.values[0] > before.values[0]


def test_what_a_killed_process_flushed_is_found_by_words(tmp_path: Path) -> None:
    """The points of a store that writes at once outlive the index's last commit."""
    pytest.importorskip("qdrant_edge")
    script = textwrap.dedent(
        """
        import os, pathlib, signal, sys
        from oss.contracts.store import StoreFeature
        from oss.retrieval.completing import CompletedStore
        from oss.testing.conformance.store import SETTINGS, make_point
        from oss_plugins.qdrant.store import QdrantStore
        folder = pathlib.Path(sys.argv[1])
        store = CompletedStore(QdrantStore(folder), folder / ".words")
        collection = store.create("work", SETTINGS)
        collection.upsert([make_point(0, "walrus 0")])
        collection.flush()
        collection.upsert([make_point(1, "walrus 1")])
        if sys.argv[2] == "between":
            collection.inner.flush()
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    from oss.retrieval.completing import CompletedStore

    for when in ("between", "before"):
        folder = tmp_path / when
        subprocess.run([sys.executable, "-c", script, str(folder), when], check=False)
        store = CompletedStore(QdrantStore(folder), folder / ".words")
        with store.open("work") as collection:
            there = sorted(point.text for point in collection.scroll())
        assert there[0] == "walrus 0"
        assert words_of(store, "walrus") == there
        assert not store.settings("work").version


def test_small_segments_are_merged_and_what_is_gone_is_dropped(tmp_path: Path) -> None:
    index = SparseIndex(tmp_path / "index.sqlite")
    for number in range(60):
        index.put([Entry(f"p{number}", "", SparseVector((1, number + 10), (1.0, 1.0 + number)))])
        index.commit({})
        if number % 10 == 9:
            index.merge()
    segments = "SELECT count(*) FROM segments"
    assert index._db.execute(segments).fetchone()[0] <= 6
    assert len(index.search(SparseVector((1,), (1.0,)), 100)) == 60
    assert [hit.id for hit in index.search(SparseVector((1, 15), (1.0, 1.0)), 2)] == ["p5", "p0"]
    index.delete([f"p{number}" for number in range(50)])
    index.merge()
    index.commit({})
    assert index._db.execute(segments).fetchone()[0] == 1
    assert index._db.execute("SELECT count(*) FROM postings").fetchone()[0] == 11
    assert {hit.id for hit in index.search(SparseVector((1,), (1.0,)), 100)} == {
        f"p{number}" for number in range(50, 60)
    }
    index.close()
