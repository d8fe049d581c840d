"""``oss docs add`` and ``sync`` as programs."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from oss.retrieval.indexing.manifest import Manifest

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssCli

pytest.importorskip("qdrant_edge")


@pytest.fixture
def cli(oss_cli: OssCli) -> OssCli:
    oss_cli.use_fakes()
    return oss_cli


def put(cli: OssCli, name: str, text: str) -> None:
    path = cli.home.cwd / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def report(cli: OssCli, *args: str | Path, **options: object) -> dict[str, object]:
    (one,) = json.loads(cli.run("docs", *args, "--json", **options).ok().stdout)  # type: ignore[arg-type]
    return one


def sources(cli: OssCli, name: str = "work") -> set[str]:
    shown = json.loads(cli.run("docs", "show", name, "--sources", "--json").ok().stdout)
    return {source.rpartition("/")[2] for source in shown["chunks_by_source"]}


def test_add_search_sync_forget(cli: OssCli) -> None:
    put(cli, "docs/один.md", "# Заглавие\n\nТекст о мьютексах и потоках.")
    added = cli.run("docs", "add", "docs", "--to", "work", "--embedder", "fake").ok()
    assert added.stdout == ""
    assert "work: files: 1 added; 1 chunk embedded" in added.stderr
    found = json.loads(cli.run("docs", "search", "--json", "текст о мьютексах").ok().stdout)
    assert found[0]["source"] == str(cli.home.cwd / "docs" / "один.md")
    assert found[0]["metadata"]["heading"] == "Заглавие"
    put(cli, "docs/two.txt", "The second text.")
    assert report(cli, "sync", "work")["files"]["added"] == 1  # type: ignore[index]
    assert sources(cli) == {"один.md", "two.txt"}
    cli.run("docs", "sync", "work", "--forget", "docs").ok()
    assert sources(cli) == set()
    again = cli.run("docs", "sync", "work", "--forget", "docs")
    assert again.code == 2
    assert "was not added" in again.stderr


def test_what_rm_removed_sync_brings_back(cli: OssCli) -> None:
    put(cli, "a.md", "One text.")
    put(cli, "b.md", "Other text.")
    cli.run("docs", "add", "a.md", "b.md", "--to", "work", "--embedder", "fake").ok()
    cli.run("docs", "rm", "work", str(cli.home.cwd / "a.md"), "--yes").ok()
    assert sources(cli) == {"b.md"}
    assert report(cli, "sync")["files"]["added"] == 1  # type: ignore[index]
    assert sources(cli) == {"a.md", "b.md"}
    cli.run("docs", "rm", "work", "--yes").ok()
    cli.run("docs", "add", "b.md", "--to", "work", "--embedder", "fake").ok()
    assert sources(cli) == {"b.md"}


def test_stdin_lists_and_patterns(cli: OssCli) -> None:
    for name in ("a.md", "b.md", "c d.md", "e.txt"):
        put(cli, f"{name}", f"Text of {name}.")
    to = ("--to", "work", "--embedder", "fake")
    text = "Привет из трубы".encode("cp1251") * 3
    cli.run("docs", "add", "-", "--name", "note.txt", *to, input=text).ok()
    cli.run("docs", "add", "--from-list", "-", *to, input="a.md\nmissing.md\n\n").ok()
    done = cli.run("docs", "add", "--from-list", "-", "--strict", *to, input="a.md\nmissing.md")
    assert done.code == 1
    assert "missing.md: no such file or directory" in done.stderr
    cli.run("docs", "add", "--from-list", "-", *to, input=b"c d.md\0").ok()
    assert sources(cli) == {"note.txt", "a.md", "c d.md"}
    cli.run("docs", "add", "*.md", *to).ok()
    assert sources(cli) == {"note.txt", "a.md", "b.md", "c d.md"}
    assert (
        cli.run("docs", "search", "привет из трубы", "-k", "1")
        .ok()
        .stdout.startswith("[1] note.txt")
    )
    put(cli, "new.md", "Matches the pattern that was remembered.")
    cli.run("docs", "sync").ok()
    assert "new.md" in sources(cli)
    assert "note.txt" in sources(cli)


EMBED = ("--embedder", "sentence-transformers", "--embedder-option")


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("docs", "add", "nothing", "--to", "work"), 2, "there is no 'nothing'"),
        (("docs", "add", "--to", "work"), 2, "name at least one file"),
        (("docs", "add", "a.md", "--to", "../x"), 2, "cannot be the name"),
        (("docs", "add", "a.md", "--to", "work", "--embedder", "fke"), 3, "did you mean 'fake'"),
        (("docs", "add", "a.md", "--to", "work", "--loader", "log=text"), 2, ".SUFFIX=LOADER"),
        (("docs", "add", "a.md", "--to", "work", "--loader", ".x=txt"), 3, "did you mean 'text'"),
        (("docs", "add", "a.md", "--to", "work", *EMBED, "x=1"), 3, "dimension"),
        (("docs", "add", "a.md", "--to", "work", *EMBED, "dimension"), 2, "KEY=VALUE"),
        (("docs", "add", "a.md", "--to", "work", *EMBED[2:], "a=b"), 2, "needs --embedder"),
        (("docs", "add", "a.md", "--to", "work", "--embedder", "backend"), 3, "model=NAME"),
        (("docs", "sync", "nothing"), 2, "no collection 'nothing'"),
    ],
)
def test_mistakes_are_told(cli: OssCli, args: tuple[str, ...], code: int, said: str) -> None:
    put(cli, "a.md", "Text.")
    done = cli.run(*args)
    assert (done.code, said in done.stderr) == (code, True), done
    assert "Traceback" not in done.stderr
    assert "no collections" in cli.run("docs", "list").ok().stderr


def test_a_collection_keeps_its_embedder_and_words(cli: OssCli) -> None:
    put(cli, "a.md", "Text.")
    cli.run("docs", "add", "a.md", "--to", "work", "--embedder", "fake", "--words", "50").ok()
    cli.run("docs", "add", "a.md", "--to", "work").ok()
    other = cli.run("docs", "add", "a.md", "--to", "work", "--embedder", "onnx")
    assert other.code == 2
    assert "was made with embedder 'fake'" in other.stderr
    assert cli.run("docs", "add", "a.md", "--to", "work", "--words", "60").code == 2


def test_options_of_an_embedder_are_the_collections_own(cli: OssCli) -> None:
    put(cli, "a.md", "Text.")
    add = ("docs", "add", "a.md", "--to", "work", "--embedder", "fake", "--embedder-option")
    cli.run(*add, "dimension=32").ok()
    assert cli.run("docs", "show", "work", "--json").ok().json()["dimension"] == 32
    cli.run(*add, "dimension=32").ok()
    put(cli, "a.md", "Other text.")
    cli.run("docs", "sync").ok()
    assert cli.run("docs", "search", "other text", "--json").ok().json()
    other = cli.run(*add, "dimension=16").failed(2)
    assert "dimension=32, not dimension=16" in other.stderr


def test_a_suffix_is_given_a_loader_and_remembered(cli: OssCli) -> None:
    put(cli, "docs/a.foo", "Text.")
    put(cli, "docs/b.bar", "Text.")
    first = report(cli, "add", "docs", "--to", "work", "--embedder", "fake")
    assert first["ignored"] == {".foo": 1, ".bar": 1}
    second = report(cli, "add", "docs", "--to", "work", "--loader", ".foo=text")
    assert second["files"]["changed"] == 1  # type: ignore[index]
    put(cli, "docs/c.foo", "More.")
    report(cli, "sync")
    assert sources(cli) == {"a.foo", "c.foo"}


def test_two_at_once_are_kept_apart(cli: OssCli) -> None:
    put(cli, "a.md", "Text.")
    cli.run("docs", "add", "a.md", "--to", "work", "--embedder", "fake").ok()
    manifest = Manifest(cli.home.path / "data" / "collections" / "work" / "manifest.sqlite")
    with closing(manifest):
        done = cli.run("docs", "sync", "work")
    assert done.code == 8
    assert "another process is indexing into 'work'" in done.stderr


@pytest.mark.skipif(not hasattr(os, "kill"), reason="signals")
def test_ctrl_c_keeps_what_is_done(cli: OssCli) -> None:
    import signal

    for number in range(3000):
        put(cli, f"docs/{number}.md", f"Text number {number}. " * 30)
    process = cli.start("docs", "add", "docs", "--to", "work", "--embedder", "fake")
    manifest = cli.home.path / "data" / "collections" / "work" / "manifest.sqlite"
    while process.poll() is None and rows(manifest) < 200:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr.decode()
    assert "does the rest" in stderr.decode()
    kept = rows(manifest)
    assert 200 <= kept < 3000
    assert report(cli, "sync")["files"]["added"] == 3000 - kept  # type: ignore[index]


def rows(manifest: Path) -> int:
    """As many as can be seen past the lock of the process that writes them."""
    try:
        with closing(sqlite3.connect(f"{manifest.as_uri()}?immutable=1", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM files").fetchone()[0])
    except sqlite3.DatabaseError:  # not there yet, or just being written
        return 0


def test_watching(cli: OssCli) -> None:
    pytest.importorskip("watchfiles")
    import signal

    put(cli, "docs/a.md", "Text.")
    cli.run("docs", "add", "docs", "--to", "work", "--embedder", "fake").ok()
    process = cli.start("docs", "sync", "work", "--watch")
    assert process.stderr is not None
    for line in process.stderr:
        if b"watching" in line:
            break
    time.sleep(0.5)
    put(cli, "docs/новый.md", "Свежий текст.")
    for line in process.stderr:
        if b"1 added" in line:
            break
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert b"Traceback" not in stderr
    assert sources(cli) == {"a.md", "новый.md"}
