"""Files that cannot be read are named, skipped and counted; nothing else is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.documents import docx, paragraph, pdf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oss.testing.program import OssCli

pytest.importorskip("qdrant_edge")
pytest.importorskip("pypdfium2")

BOMB = docx("".join(paragraph("x" * 2**20) for _ in range(210)))


@pytest.fixture
def cli(oss_cli: OssCli) -> OssCli:
    oss_cli.use_fakes()
    return oss_cli


def test_all_that_can_be_wrong_with_files(cli: OssCli) -> None:
    docs = cli.home.cwd / "docs"
    docs.mkdir()
    bad = {
        "broken.pdf": pdf([["text"]])[:100],
        "locked.pdf": pdf([["secret"]], encrypted=True),
        "junk.txt": bytes(range(256)) * 50,
        "bomb.docx": BOMB,
        "half.docx": BOMB[: len(BOMB) // 2],
        "wrong.json": b"{",
        "not-mail.eml": b"\n\njust text\n",
    }
    for name, data in bad.items():
        (docs / name).write_bytes(data)
    with (docs / "sparse.txt").open("wb") as file:
        file.truncate(2 * 2**30)
    (docs / "loop").symlink_to(".")
    (docs / "self.md").symlink_to("self.md")
    if sys.platform == "linux":
        os.mkfifo(docs / "pipe.txt")
        (docs / os.fsdecode(b"\xff\xfe.md")).write_text("text")
    (docs / "хороший.md").write_text("Хороший текст.", encoding="utf-8")
    (docs / "cp1251.txt").write_bytes("Файл в старой кодировке, но по-русски.".encode("cp1251"))
    done = cli.run(
        "docs", "add", "docs", "--to", "work", "--embedder", "fake", "--strict", "--json"
    )
    assert done.code == 1, done
    assert "Traceback" not in done.stderr
    (report,) = json.loads(done.stdout)
    assert report["files"]["added"] == 2
    skipped = {row["path"].rpartition("/")[2]: row["reason"] for row in report["skipped"]}
    if sys.platform == "linux":
        assert skipped.pop("??.md") == "has a name that is not UTF-8; rename it"
    assert set(skipped) == {*bad, "sparse.txt"}
    assert "password" in skipped["locked.pdf"]
    assert "expands to more than" in skipped["bomb.docx"]
    assert "larger than 100 MB" in skipped["sparse.txt"]
    found = json.loads(cli.run("docs", "search", "--json", "старой кодировке").ok().stdout)
    assert found[0]["text"] == "Файл в старой кодировке, но по-русски."
    again = cli.run("docs", "sync", "--strict")
    assert again.code == 1
    assert "8 skipped" in again.stderr or "9 skipped" in again.stderr


def test_what_may_not_be_read_is_named_and_kept_until_it_may(cli: OssCli) -> None:
    docs = cli.home.cwd / "docs"
    (docs / "inner").mkdir(parents=True)
    for name in ("a.md", "secret.md", "inner/b.md"):
        (docs / name).write_text(f"Text of {name}.")
    cli.run("docs", "add", "docs", "--to", "work", "--embedder", "fake").ok()
    (docs / "secret.md").write_text("Another text of secret.md.")
    (docs / "secret.md").chmod(0)
    (docs / "inner").chmod(0)
    rights = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    try:
        done = subprocess.run(
            [*(rights if os.geteuid() == 0 else []), str(cli.program), "docs", "sync", "--strict"],
            env=cli.environment(),
            cwd=cli.home.cwd,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        (docs / "inner").chmod(0o755)
    assert done.returncode == 1, done.stderr
    assert "secret.md: permission denied" in done.stderr
    assert "inner: permission denied" in done.stderr
    shown = json.loads(cli.run("docs", "show", "work", "--sources", "--json").ok().stdout)
    assert {name.rpartition("/")[2] for name in shown["chunks_by_source"]} == {
        "a.md",
        "secret.md",
        "b.md",
    }
    (docs / "secret.md").chmod(0o644)
    (report,) = json.loads(cli.run("docs", "sync", "--json").ok().stdout)
    assert (report["files"]["changed"], report["skipped"]) == (1, [])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 90 MB, of which 64 are kept free."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    made = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=90m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if not made or made.returncode:
        pytest.skip("no right to mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
def test_a_full_disk_stops_the_run_and_keeps_what_is_done(cli: OssCli, small_disk: Path) -> None:
    docs = cli.home.cwd / "docs"
    docs.mkdir()
    for number in range(150):
        parts = (f"Text {number} part {part}. " * 40 for part in range(30))
        (docs / f"{number}.md").write_text("\n\n".join(parts))
    disk = small_disk / "home"
    shutil.copytree(cli.home.path, disk)
    full = {"OSS_HOME": str(disk)}
    done = cli.run("docs", "add", "docs", "--to", "work", "--embedder", "fake", env=full)
    assert done.code == 10, done
    assert "the disk is full" in done.stderr
    subprocess.run(["mount", "-o", "remount,size=900m", str(small_disk)], check=True)
    (report,) = json.loads(cli.run("docs", "sync", "--json", env=full).ok().stdout)
    assert report["files"]["added"] + report["files"]["unchanged"] == 150
    assert report["skipped"] == []
