"""kill -9 at random moments of ``add`` and ``sync``: nothing acknowledged is lost, and the next
sync leaves exactly what an unbroken run leaves.

``OSS_TEST_KILLS`` says how many kills there are; 6 by default, 50 in the long run.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from oss.retrieval.indexing.manifest import Manifest
from oss_plugins.qdrant.store import QdrantStore
from support.indexing import collection_state

if TYPE_CHECKING:
    from oss.testing.program import OssCli

pytest.importorskip("qdrant_edge")
KILLS = int(os.environ.get("OSS_TEST_KILLS", "6"))
SMALL_BATCHES = (
    "from oss.retrieval.indexing import indexer; indexer.BATCH_FILES = 6;"
    "from oss.cli.main import main; main()"
)
FILES = 90


class Killer:
    """Runs the program with small batches, in a home that is thrown away between rounds."""

    def __init__(self, cli: OssCli) -> None:
        self.cli = cli
        self.folder = cli.home.cwd / "docs"
        self.data = cli.home.path / "data"

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", SMALL_BATCHES, "docs", *args],
            env=self.cli.environment(),
            cwd=self.cli.home.cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def add(self) -> subprocess.Popen[bytes]:
        return self.start("add", "docs", "--to", "work", "--embedder", "fake")

    def fresh(self) -> None:
        for folder in (self.data, self.cli.home.path / "cache", self.folder):
            shutil.rmtree(folder, ignore_errors=True)
        self.folder.mkdir()
        for number in range(FILES):
            body = "\n\n".join(
                f"Абзац {part} текста {number}. " * 9 for part in range(1 + number % 7)
            )
            self.write(f"{number}.md", f"# Текст {number}\n\n{body}")

    def edit(self) -> None:
        for number in range(0, FILES, 9):
            (self.folder / f"{number}.md").unlink()
            (self.folder / f"{number + 1}.md").rename(self.folder / f"moved {number}.md")
            self.write(f"{number + 2}.md", f"# Changed\n\nAll of {number} is new.")
            self.write(f"added {number}.txt", "Fresh text.")

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        then = path.stat().st_mtime - 100
        os.utime(path, (then, then))

    def done(self, process: subprocess.Popen[bytes]) -> float:
        begun = time.monotonic()
        _, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr.decode()
        return time.monotonic() - begun

    def kill(self, process: subprocess.Popen[bytes], after: float) -> bool:
        """Whether it was still at work."""
        try:
            process.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return True
        return False

    @property
    def store(self) -> QdrantStore:
        return QdrantStore(self.data / "collections")

    def state(self) -> dict[str, Any]:
        return collection_state(self.store, "work")

    def check_acknowledged(self) -> None:
        """Every chunk that the manifest counts is in the collection, which opens; but for files
        that have changed meanwhile, or are gone.
        """
        with closing(Manifest(self.data / "collections" / "work" / "manifest.sqlite")) as manifest:
            rows = manifest.rows()
        with self.store.open("work") as collection:
            counts = collection.values("source")
        contents = {
            str(file): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in self.folder.iterdir()
        }
        for row in rows.values():
            if contents.get(row.path) == row.sha256:
                assert counts.get(row.path, 0) >= row.chunks, row


@pytest.mark.slow
def test_killed_runs_are_completed(oss_cli: OssCli, capsys: pytest.CaptureFixture[str]) -> None:
    oss_cli.use_fakes()
    killer = Killer(oss_cli)
    killer.fresh()
    add_time = killer.done(killer.add())
    added = killer.state()
    killer.edit()
    sync_time = killer.done(killer.start("sync"))
    synced = killer.state()
    assert len(added["rows"]) == FILES
    assert added["points"] != synced["points"]

    draw = random.Random(20)
    hit = 0
    for _ in range(-(-KILLS // 2)):
        killer.fresh()
        hit += killer.kill(killer.add(), add_time * draw.uniform(0.2, 1))
        if killer.store.exists("work"):
            killer.check_acknowledged()
            killer.done(killer.start("sync"))
        else:
            killer.done(killer.add())
        assert killer.state() == added
        killer.edit()
        hit += killer.kill(killer.start("sync"), sync_time * draw.uniform(0.2, 1))
        killer.check_acknowledged()
        killer.done(killer.start("sync"))
        assert killer.state() == synced
    with capsys.disabled():
        print(f"\n{hit} of {2 * -(-KILLS // 2)} runs were killed at work")
    assert hit >= KILLS // 4
