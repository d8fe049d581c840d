"""Faults of the file itself, made for real: other processes, kill -9, damage."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import BusyError, StorageError
from oss.contracts.messages import Message
from oss.store import Setup, Store, database, schema

if TYPE_CHECKING:
    from pathlib import Path

# Root may write anywhere; these tests need a process that may not.
PLAIN_RIGHTS = (
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
)
SETUP = Setup("base", "0" * 64, "file:/m.gguf", "fake")

WRITER = """
import sys
from pathlib import Path
from oss.contracts.messages import Message
from oss.store import Setup, Store
setup = Setup("base", "0" * 64, "m", "fake")
store = Store(Path(sys.argv[1]))
conversation = store.create(sys.argv[2])
for i in range(int(sys.argv[3])):
    turn = store.begin_turn(conversation, Message("user", f"вопрос {i}"), setup)
    store.end_turn(turn, "done", [Message("user", f"вопрос {i}"), Message("assistant", "да")])
    print(i, flush=True)
"""


def writer(path: Path, name: str, turns: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(turns)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    writers = [writer(path, name, 40) for name in ("a", "b", "c")]
    for process in writers:
        process.communicate()
        assert process.returncode == 0
    with Store(path) as store:
        assert sorted(c.title for c in store.conversations()) == ["a", "b", "c"]
        assert [c.turns for c in store.conversations()] == [40, 40, 40]
        assert len(store.search("вопрос", limit=1000)) == 120


@pytest.mark.parametrize("after", [1, 7, 30])
def test_killed_writer_loses_at_most_the_turn_in_flight(tmp_path: Path, after: int) -> None:
    path = tmp_path / "c.db"
    process = writer(path, "a", 100_000)
    assert process.stdout is not None
    acknowledged = -1
    for line in process.stdout:
        acknowledged = int(line)
        if acknowledged >= after:
            os.kill(process.pid, signal.SIGKILL)
            break
    rest = process.stdout.read().splitlines()
    process.wait()
    process.stdout.close()
    acknowledged = int(rest[-1]) if rest and rest[-1].isdigit() else acknowledged
    with Store(path) as store:
        [conversation] = store.conversations()
        done = [t for t in store.turns(conversation.id) if t.state == "done"]
        assert len(done) >= acknowledged
        assert [t.prompt for t in done] == [f"вопрос {i}" for i in range(len(done))]
        store.begin_turn(conversation.id, Message("user", "дальше"), SETUP)


def test_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 100)
    with pytest.raises(StorageError, match=r"c\.db is damaged") as caught:
        Store(path)
    assert caught.value.hint
    assert path.read_bytes().startswith(b"not a database")


def test_page_damaged_later(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    with Store(path) as store:
        conversation = store.create("t")
        for i in range(200):
            store.begin_turn(conversation, Message("user", f"{i} " * 200), SETUP)
    raw = bytearray(path.read_bytes())
    raw[4096 * 4 :] = b"\xff" * (len(raw) - 4096 * 4)
    path.write_bytes(raw)
    with pytest.raises(StorageError, match="is damaged"), Store(path) as store:  # noqa: PT012
        store.turns(conversation)
        store.search("1")


def test_file_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="newer oss") as caught:
        Store(path)
    assert "pip install -U" in (caught.value.hint or "")
    assert path.read_bytes() == before


def test_locked_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.db"
    Store(path).close()
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with Store(path) as store:
        assert store.conversations() == []  # readers do not wait
        with pytest.raises(BusyError, match="locked"):
            store.create("t")
        holder.execute("ROLLBACK")
        holder.close()
        store.create("t")


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot make") as caught:
        Store(tmp_path / "file" / "data" / "c.db")
    assert "--no-log" in (caught.value.hint or "")


def test_readonly_place_can_be_read_and_not_written(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    with Store(path) as store:
        store.create("t")
    script = (
        "import sys; from pathlib import Path; from oss.store import Store\n"
        "from oss.contracts.errors import StorageError\n"
        "store = Store(Path(sys.argv[1])); print(store.conversations()[0].title)\n"
        "try: store.create('u')\n"
        "except StorageError as e: print(e.message)\n"
        "try: Store(Path(sys.argv[1]).parent / 'other.db')\n"
        "except StorageError as e: print(e.message)\n"
    )
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        result = subprocess.run(
            [*PLAIN_RIGHTS, sys.executable, "-c", script, str(path)],
            capture_output=True,
            text=True,
        )
    finally:
        tmp_path.chmod(0o755)
    assert result.returncode == 0, result.stderr
    title, write, new = result.stdout.splitlines()
    assert title == "t"
    assert "readonly" in write
    assert "other.db" in new


def test_broken_migration_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.db"
    with Store(path) as store:
        store.create("t")
    broken = (*schema.MIGRATIONS, "CREATE TABLE extra (x);\nCREATE TABLE extra (x);")
    monkeypatch.setattr(database, "MIGRATIONS", broken)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        Store(path)
    monkeypatch.setattr(database, "MIGRATIONS", schema.MIGRATIONS)
    with Store(path) as store:
        assert [c.title for c in store.conversations()] == ["t"]
    monkeypatch.setattr(database, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE extra (x);"))
    with Store(path) as store:
        assert [c.title for c in store.conversations()] == ["t"]
