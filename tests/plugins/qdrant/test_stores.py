"""Both of Qdrant's stores pass the suite; and what is theirs alone."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import BusyError, ConfigError, NetworkError, StorageError
from oss.retrieval import folders
from oss.testing.conformance.store import SETTINGS, StoreConformance, make_point, unit
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


def test_a_second_process_waits_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = QdrantStore(tmp_path)
    store.create("work", SETTINGS).close()
    script = textwrap.dedent(
        """
        import sys, pathlib
        from oss_plugins.qdrant.store import QdrantStore
        with QdrantStore(pathlib.Path(sys.argv[1])).open("work") as collection:
            print("open", flush=True)
            sys.stdin.readline()
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        monkeypatch.setattr(folders, "WAIT_S", 0.1)
        with pytest.raises(BusyError, match="'work' is open in another process"):
            store.open("work")
        with pytest.raises(BusyError):
            store.drop("work")
        other.stdin.write("\n")
        other.stdin.flush()
        other.wait()
    store.open("work").close()


def test_flushed_points_outlive_a_killed_process(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import os, pathlib, signal, sys
        from oss.testing.conformance.store import SETTINGS, make_point
        from oss_plugins.qdrant.store import QdrantStore
        collection = QdrantStore(pathlib.Path(sys.argv[1])).create("work", SETTINGS)
        for batch in range(5):
            collection.upsert([make_point(n) for n in range(batch * 100, batch * 100 + 100)])
            collection.flush()
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    with QdrantStore(tmp_path).open("work") as collection:
        assert collection.count() == 500
        assert collection.dense(unit(321), 1)[0].id == make_point(321).id


def test_a_creation_that_was_killed_leaves_no_collection(tmp_path: Path) -> None:
    store = QdrantStore(tmp_path)
    store.create("work", SETTINGS).close()
    (tmp_path / "work" / "collection.json").unlink()
    assert store.list() == []
    with store.create("work", SETTINGS) as collection:
        assert collection.count() == 0


def test_a_damaged_shard_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    store = QdrantStore(tmp_path)
    store.create("work", SETTINGS).close()
    for file in (tmp_path / "work" / "shard").glob("*.json"):
        file.write_text("{")
    with pytest.raises(StorageError, match="'work'"):
        store.open("work")
    (tmp_path / "work" / "collection.json").write_text("[]")
    with pytest.raises(StorageError, match=r"collection\.json"):
        store.open("work")


def test_no_server_is_a_network_error(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_client")
    store = QdrantStore(tmp_path, url="http://127.0.0.1:9", timeout=1)
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1:9"):
        store.open("work")
    with pytest.raises(ConfigError, match="not the address"):
        QdrantStore(tmp_path, url="localhost")
