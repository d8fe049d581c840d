"""What every store does that keeps its collections in folders: one process at a time, and what a
killed process leaves. Subclass, and say where the class is and how it is constructed::

class TestMyFolder(FolderStoreConformance):
    target = "my_package.store:MyStore"
    options = {"index": "hnsw"}
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from oss.contracts.errors import BusyError, StorageError
from oss.retrieval import folders
from oss.retrieval.completing import complete_store
from oss.retrieval.sparse import query_vector
from oss.testing.conformance.store import SETTINGS, make_point, unit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from oss.contracts.store import VectorStore

_OPEN = "print('open', flush=True); sys.stdin.readline()"
_SCRIPT = """
import os, signal, sys
from oss.testing.conformance import store_folder
from oss.testing.conformance.store import SETTINGS, make_point
store = store_folder.store_at({target!r}, {options!r}, {folder!r})
{body}
"""


def store_at(target: str, options: str, folder: str) -> VectorStore:
    """The store under test, also in a process of its own: as commands open it."""
    from pathlib import Path

    module, _, name = target.partition(":")
    made: VectorStore = getattr(import_module(module), name)(Path(folder), **json.loads(options))
    return complete_store(made, Path(folder))


class FolderStoreConformance:
    """The suite."""

    target: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}

    def script(self, folder: Path, body: str) -> list[str]:
        """The command of a process that has the store."""
        text = _SCRIPT.format(
            target=self.target, options=json.dumps(self.options), folder=str(folder), body=body
        )
        return [sys.executable, "-c", text]

    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        """The same store in this process."""
        return store_at(self.target, json.dumps(self.options), str(tmp_path))

    def test_a_second_process_waits_and_is_told(
        self, store: VectorStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Until the first lets go."""
        store.create("work", SETTINGS).close()
        body = f"collection = store.open('work')\n{_OPEN}\ncollection.close()"
        with subprocess.Popen(
            self.script(tmp_path, body), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdin is not None
            assert other.stdout is not None
            assert other.stdout.readline() == "open\n"
            monkeypatch.setattr(folders, "WAIT_S", 0.1)
            with pytest.raises(BusyError, match="'work' is open in another process"):
                store.open("work")
            with pytest.raises(BusyError):
                store.drop("work")
            assert store.settings("work") == SETTINGS
            other.stdin.write("\n")
            other.stdin.flush()
            other.wait()
        store.open("work").close()

    def test_what_was_flushed_outlives_a_killed_process(
        self, store: VectorStore, tmp_path: Path
    ) -> None:
        """Points, their words, and what was removed; what was not flushed is there whole, or not
        at all.
        """
        body = """
collection = store.create("work", SETTINGS)
for batch in range(3):
    collection.upsert([make_point(n) for n in range(batch * 100, batch * 100 + 100)])
    collection.flush()
collection.delete([make_point(n).id for n in range(10)])
collection.upsert([make_point(50, "walrus")])
collection.flush()
collection.upsert([make_point(n) for n in range(300, 350)])
collection.delete([make_point(n).id for n in range(100, 110)])
os.kill(os.getpid(), signal.SIGKILL)
"""
        done = subprocess.run(self.script(tmp_path, body), check=False)
        assert done.returncode == -signal.SIGKILL
        with store.open("work") as collection:
            ids = {point.id for point in collection.scroll()}
            assert len(ids) == collection.count()
            safe = {make_point(n).id for n in (*range(10, 100), *range(110, 300))}
            unsure = {make_point(n).id for n in (*range(100, 110), *range(300, 350))}
            assert safe <= ids <= safe | unsure
            assert collection.dense(unit(221), 1)[0].id == make_point(221).id
            (hit,) = collection.sparse(query_vector("walrus", ("en",)), 5)
            assert hit.id == make_point(50).id
            assert {h.id for h in collection.sparse(query_vector("part", ("en",)), 400)} <= ids
            collection.upsert([make_point(n) for n in range(300, 350)])
        with store.open("work") as collection:
            assert collection.dense(unit(333), 1)[0].id == make_point(333).id

    def test_a_process_killed_at_any_moment_loses_nothing_that_was_flushed(
        self, store: VectorStore, tmp_path: Path
    ) -> None:
        """Also while it optimizes; the number of the last safe batch is what it printed."""
        body = """
collection = store.open("work") if store.exists("work") else store.create("work", SETTINGS)
begin = collection.count()
for number in range(begin, begin + 400, 20):
    collection.upsert([make_point(n) for n in range(number, number + 20)])
    collection.flush()
    print(number + 20, flush=True)
    if number % 60 == 0:
        collection.optimize()
"""
        safe = 0
        for wait in (3, 9, 14):
            with subprocess.Popen(
                self.script(tmp_path, body), stdout=subprocess.PIPE, text=True
            ) as process:
                assert process.stdout is not None
                for _ in range(wait):
                    line = process.stdout.readline()
                    safe = int(line) if line.strip() else safe
                os.kill(process.pid, signal.SIGKILL)
                rest = process.stdout.read().split()
                safe = int(rest[-1]) if rest else safe
            with store.open("work") as collection:
                found = {point.id for point in collection.scroll()}
                assert {make_point(n).id for n in range(safe)} <= found
                assert len(collection.sparse(query_vector("part", ("en",)), 5000)) >= safe // 5 * 3
                # What was half written is finished, as the next run of an indexer does.
                collection.upsert([make_point(n) for n in range(safe)])
                extra = found - {make_point(n).id for n in range(safe)}
                collection.delete(sorted(extra))

    def test_a_creation_that_was_killed_leaves_no_collection(
        self, store: VectorStore, tmp_path: Path
    ) -> None:
        """And stands in nobody's way."""
        with store.create("work", SETTINGS) as collection:
            collection.upsert([make_point(1)])
        (settings,) = tmp_path.rglob("collection.json")
        settings.unlink()
        assert list(store.list()) == []
        with store.create("work", SETTINGS) as collection:
            assert collection.count() == 0
            assert collection.sparse(query_vector("part", ("en",)), 5) == []

    def test_damaged_settings_are_an_error_that_names_the_file(
        self, store: VectorStore, tmp_path: Path
    ) -> None:
        """And the lock is let go."""
        store.create("work", SETTINGS).close()
        (settings,) = tmp_path.rglob("collection.json")
        before = settings.read_bytes()
        settings.write_text("[]", "utf-8")
        with pytest.raises(StorageError, match=r"collection\.json"):
            store.open("work")
        settings.write_bytes(before)
        store.open("work").close()

    def test_a_dropped_collection_leaves_nothing(self, store: VectorStore, tmp_path: Path) -> None:
        """So a new one of the name begins empty."""
        with store.create("work", SETTINGS) as collection:
            collection.upsert([make_point(n) for n in range(5)])
        store.drop("work")
        assert [path for path in tmp_path.rglob("*work*") if path.name != "lock"] == []
        with store.create("work", SETTINGS) as collection:
            assert collection.count() == 0
