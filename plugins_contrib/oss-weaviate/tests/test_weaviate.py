"""The shared suites over the client's real wire format, answered by a stand-in for the server."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import ConfigError, NetworkError, StorageError, UsageError
from oss.plugins.options import validate
from oss.retrieval.completing import complete_store
from oss.retrieval.filters import parse_filter
from oss.retrieval.sparse import query_vector
from oss.testing.conformance.store import SETTINGS, StoreConformance, make_point
from oss.testing.conformance.store_hybrid import HybridConformance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oss.contracts.store import VectorStore

pytest.importorskip("weaviate")
sys.path.insert(0, str(Path(__file__).parent))

from stand_in import KEY, StandIn

from oss_weaviate.store import WeaviateStore


@pytest.fixture
def server() -> Iterator[StandIn]:
    with StandIn() as server:
        yield server


def store_of(server: StandIn, folder: Path) -> WeaviateStore:
    return WeaviateStore(folder, url=server.url, grpc_port=server.grpc_port, timeout=5)


class TestWeaviate(StoreConformance):
    @pytest.fixture
    def store(self, server: StandIn, tmp_path: Path) -> VectorStore:
        return store_of(server, tmp_path)


class TestWeaviateHybrid(HybridConformance):
    @pytest.fixture
    def store(self, server: StandIn, tmp_path: Path) -> VectorStore:
        return complete_store(store_of(server, tmp_path), tmp_path)


def test_options_are_declared() -> None:
    from oss_weaviate import oss_stores

    (descriptor,) = oss_stores()
    assert validate(descriptor, {"url": "https://x.example"}, "x")["grpc_port"] == 50051


def test_names_are_coded_one_to_one(server: StandIn, tmp_path: Path) -> None:
    store = store_of(server, tmp_path)
    names = ["a-b_c.d", "документы", "Work", "work", "a_2d_b"]
    for name in names:
        store.create(name, SETTINGS).close()
    assert store.list() == sorted(names)
    assert len(server.classes) == len(names)
    assert all(name.isascii() and name.startswith("Oss_") for name in server.classes)


def test_what_other_programs_keep_is_left_alone(server: StandIn, tmp_path: Path) -> None:
    store = store_of(server, tmp_path)
    store.create("work", SETTINGS).close()
    (schema,) = [stored.schema for stored in server.classes.values()]
    schema["description"] = "theirs"
    assert store.list() == []
    with pytest.raises(UsageError):
        store.drop("work")


def test_a_filter_is_handed_to_the_server(server: StandIn, tmp_path: Path) -> None:
    store = store_of(server, tmp_path)
    with store.create("work", SETTINGS) as collection:
        collection.upsert([make_point(n) for n in range(300)])
        where = parse_filter("source='docs/Раздел 1.md' and page<30")
        assert collection.count(where) == len(list(collection.scroll(where))) == 39
        assert len(collection.dense(make_point(1).dense or (), 20, where)) == 20


def test_two_collections_share_a_connection(server: StandIn, tmp_path: Path) -> None:
    store = store_of(server, tmp_path)
    first, second = store.create("a", SETTINGS), store.create("b", SETTINGS)
    first.close()
    second.upsert([make_point(1)])
    assert second.count() == 1
    second.close()
    second.close()


def test_words_are_found_from_another_machine(server: StandIn, tmp_path: Path) -> None:
    one, other = (
        complete_store(store_of(server, tmp_path / name), tmp_path / name) for name in "ab"
    )
    with one.create("work", SETTINGS) as collection:
        collection.upsert([make_point(n, f"walrus {n}") for n in range(3)])
    with other.open("work") as collection:
        assert len(collection.sparse(query_vector("walrus", ("en",)), 5)) == 3
        collection.delete([make_point(0).id])
    with one.open("work") as collection:
        assert len(collection.sparse(query_vector("walrus", ("en",)), 5)) == 2


def test_errors_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="not the address"):
        WeaviateStore(tmp_path, url="localhost")
    with pytest.raises(ConfigError, match="cannot begin"):
        WeaviateStore(tmp_path, prefix="my docs")
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1:9"):
        WeaviateStore(tmp_path, url="http://127.0.0.1:9", timeout=1).list()
    with StandIn(KEY) as server:
        with pytest.raises(ConfigError, match="refuses the key"):
            store_of(server, tmp_path).list()
        monkeypatch.setenv("WEAVIATE_API_KEY", KEY)
        store = store_of(server, tmp_path)
        with store.create("work", SETTINGS) as collection:
            collection.upsert([make_point(1)])
            (stored,) = server.classes.values()
            wrong = replace(make_point(2), dense=[1.0])
            with pytest.raises(StorageError, match="vector lengths differ"):
                collection.upsert([wrong])
            with pytest.raises(StorageError, match="did not take a chunk"):
                collection.upsert([make_point(1), wrong])
            assert list(stored.objects) == [make_point(1).id]


def test_a_server_that_goes_away_is_a_network_error(tmp_path: Path) -> None:
    with StandIn() as server:
        collection = store_of(server, tmp_path).create("work", SETTINGS)
    with pytest.raises(NetworkError):
        collection.count()
    with pytest.raises(NetworkError):
        collection.save_settings(SETTINGS)
    collection.close()
