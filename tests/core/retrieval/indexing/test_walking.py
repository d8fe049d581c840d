"""Which files a folder gives."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oss.contracts.errors import UsageError
from oss.retrieval.indexing.roots import Root, Rules, parse_root
from oss.retrieval.indexing.walking import Found, find_files


def tree(base: Path, *names: str) -> None:
    for name in names:
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")


def names(base: Path, found: Found) -> set[str]:
    return {Path(path).relative_to(base).as_posix() for path in found.files}


def walk(base: Path, **rules: object) -> set[str]:
    return names(base, find_files([Root(str(base), "", Rules(**rules))]))  # type: ignore[arg-type]


def test_folders_in_folders_without_hidden_ones(tmp_path: Path) -> None:
    tree(tmp_path, "a.md", "b/c.md", "b/д/е.md", ".hidden.md", ".git/config", ".venv/x.py")
    assert walk(tmp_path) == {"a.md", "b/c.md", "b/д/е.md"}
    assert walk(tmp_path, hidden=True) == {
        "a.md", "b/c.md", "b/д/е.md", ".hidden.md", ".venv/x.py"
    }  # fmt: skip


def test_gitignore_as_git_reads_it(tmp_path: Path) -> None:
    tree(
        tmp_path,
        *("keep.md", "skip.log", "build/x.md", "deep/build/y.md", "deep/keep.log"),
        *("deep/only-here.md", "only-here.md", "заметки/черновик.md", "a/b/c/z.md"),
    )
    (tmp_path / ".gitignore").write_text("*.log\nbuild/\nчерновик.md\na/**/z.md\n", "utf-8")
    (tmp_path / "deep" / ".gitignore").write_text("!keep.log\n/only-here.md\n", "utf-8")
    assert walk(tmp_path) == {"keep.md", "deep/keep.log", "only-here.md"}
    assert len(walk(tmp_path, gitignore=False)) == 9


def test_the_gitignore_of_the_repository_around(tmp_path: Path) -> None:
    tree(tmp_path, ".git/config", "docs/a.md", "docs/b.tmp")
    (tmp_path / ".gitignore").write_text("*.tmp\n", "utf-8")
    assert walk(tmp_path / "docs") == {"a.md"}
    (tmp_path / ".git" / "config").unlink()
    (tmp_path / ".git").rmdir()
    assert walk(tmp_path / "docs") == {"a.md", "b.tmp"}


def test_patterns_to_leave_out(tmp_path: Path) -> None:
    tree(tmp_path, "a.md", "old/a.md", "new/old/b.md", "b.txt")
    assert walk(tmp_path, exclude=("/old", "*.txt")) == {"a.md", "new/old/b.md"}


def test_links_are_followed_only_when_asked_and_loops_end(tmp_path: Path) -> None:
    tree(tmp_path / "in", "a.md")
    tree(tmp_path / "out", "b.md")
    (tmp_path / "in" / "loop").symlink_to(".")
    (tmp_path / "in" / "up").symlink_to("..")
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "gone.md").symlink_to("nowhere")
    (tmp_path / "in" / "self").symlink_to("self")
    assert walk(tmp_path / "in") == {"a.md"}
    rules = Rules(follow=True)
    found = find_files([Root(str(tmp_path / "in"), "", rules)])
    assert {Path(path).name for path in found.files} == {"a.md", "b.md"}
    assert len(found.files) == 2
    assert str(tmp_path / "in" / "gone.md") in found.faults


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_pipes_and_devices_are_no_files(tmp_path: Path) -> None:
    tree(tmp_path, "a.md")
    os.mkfifo(tmp_path / "pipe.md")
    assert walk(tmp_path) == {"a.md"}
    found = find_files([Root(str(tmp_path / "pipe.md"))])
    assert list(found.faults.values()) == ["is no file: a device, a pipe or a socket"]


def test_roots_are_files_folders_and_patterns(tmp_path: Path) -> None:
    tree(tmp_path, "a.md", "b.txt", "in/c.md", "in/deep/d.md", "[x].md")
    found = find_files([parse_root(str(tmp_path / "b.txt"), Rules())])
    assert names(tmp_path, found) == {"b.txt"}
    assert set(found.named) == {str(tmp_path / "b.txt")}
    for pattern, expected in {
        "*.md": {"a.md", "[x].md"},
        "**/*.md": {"a.md", "[x].md", "in/c.md", "in/deep/d.md"},
        "in/*/*.md": {"in/deep/d.md"},
        "[x].md": {"[x].md"},
    }.items():
        root = parse_root(str(tmp_path / pattern), Rules())
        assert names(tmp_path, find_files([root])) == expected, pattern
    with pytest.raises(UsageError, match=r"there is no '.*nothing'"):
        parse_root(str(tmp_path / "nothing"), Rules())
    with pytest.raises(UsageError, match="there is no folder"):
        parse_root(str(tmp_path / "nothing" / "*.md"), Rules())


def test_overlapping_roots_give_a_file_once(tmp_path: Path) -> None:
    tree(tmp_path, "in/a.md")
    roots = [Root(str(tmp_path)), Root(str(tmp_path / "in")), Root(str(tmp_path / "in" / "a.md"))]
    assert len(find_files(roots).files) == 1


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "a.md", "closed/b.md")
    real = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = find_files([Root(str(tmp_path))])
    assert names(tmp_path, found) == {"a.md"}
    assert found.faults == {str(tmp_path / "closed"): "permission denied"}
    assert found.may_have(str(tmp_path / "closed" / "b.md"))
    assert not found.may_have(str(tmp_path / "closed.md"))
