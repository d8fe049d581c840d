"""A person goes through rows in a terminal: nothing decided is lost, no file changed."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pexpect
import pytest

from oss.contracts.errors import BusyError, UsageError
from oss.data.review import Journal

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssCli


@pytest.fixture
def examples(oss_cli: OssCli) -> Path:
    path = oss_cli.home.cwd / "примеры.jsonl"
    rows = [{"prompt": f"Вопрос {n}", "completion": f"Ответ {n}"} for n in range(1, 5)]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def start(cli: OssCli, *args: str, editor: str = "false") -> pexpect.spawn[str]:
    words = ["data", "filter", "примеры.jsonl", "--review", "-o", "чистое.jsonl", *args]
    return pexpect.spawn(
        str(cli.program),
        words,
        env={**cli.environment(), "EDITOR": editor, "VISUAL": editor, "TERM": "xterm"},
        cwd=str(cli.home.cwd),
        encoding="utf-8",
        timeout=30,
    )


def answers(path: Path) -> list[str]:
    return [json.loads(line)["completion"] for line in path.read_text("utf-8").splitlines()]


def test_keep_drop_edit_back_and_write(oss_cli: OssCli, examples: Path) -> None:
    before = examples.read_bytes()
    editor = oss_cli.home.cwd / "edit.sh"
    editor.write_text('#!/bin/sh\nsed -i "s/Ответ 3/Лучший ответ/" "$1"\n')
    editor.chmod(0o755)
    terminal = start(oss_cli, editor=str(editor))
    for number, key in ((1, "d"), (2, "k"), (3, "b"), (2, "d"), (3, "e")):
        terminal.expect(f"Ответ {number}")
        terminal.expect("write")
        terminal.send(key)
    terminal.expect("Ответ 4")
    terminal.expect("write")
    terminal.send("k")
    terminal.expect("every row is decided")
    terminal.send("\r")
    terminal.expect("2 rows kept, 2 dropped")
    terminal.expect(pexpect.EOF)
    assert answers(oss_cli.home.cwd / "чистое.jsonl") == ["Лучший ответ", "Ответ 4"]
    assert examples.read_bytes() == before
    assert not list(oss_cli.home.cwd.glob("*.review"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stop_loses_nothing(oss_cli: OssCli, examples: Path, number: signal.Signals) -> None:
    terminal = start(oss_cli)
    for line, key in ((1, "k"), (2, "d")):
        terminal.expect(f"Ответ {line}")
        terminal.expect("write")
        terminal.send(key)
    terminal.expect("Ответ 3")
    terminal.expect("write")
    if number == signal.SIGINT:
        terminal.send("\x03")
        terminal.expect("the same command goes on")
    else:
        os.kill(terminal.pid, number)
    terminal.expect(pexpect.EOF)
    terminal.wait()
    assert not (oss_cli.home.cwd / "чистое.jsonl").exists()
    terminal = start(oss_cli)
    terminal.expect("going on: 2 rows decided before")
    terminal.expect("Ответ 3")
    terminal.expect("write")
    terminal.send("K")
    terminal.expect("every row is decided")
    terminal.send("\r")
    terminal.expect(pexpect.EOF)
    assert answers(oss_cli.home.cwd / "чистое.jsonl") == ["Ответ 1", "Ответ 3", "Ответ 4"]


def test_a_broken_edit_is_asked_about(oss_cli: OssCli, examples: Path) -> None:
    terminal = start(oss_cli, editor="sh -c 'echo nothing > $0'")
    terminal.expect("Ответ 1")
    terminal.expect("write")
    terminal.send("e")
    terminal.expect("this is no row")
    terminal.send("n\r")
    terminal.expect("undecided")
    terminal.send("q")
    terminal.expect(pexpect.EOF)


def test_a_journal_of_other_rows_is_refused(tmp_path: Path) -> None:
    source, output = tmp_path / "а.jsonl", tmp_path / "б.jsonl"
    source.write_text("{}")
    with Journal(output, [source], "all") as journal:
        journal.decide(3, "edit", {"text": "да"})
        with pytest.raises(BusyError):
            Journal(output, [source], "all")
    with journal.path.open("ab") as file:
        file.write(b'{"row": 4, "cho')  # cut by a crash
    with Journal(output, [source], "all") as again:
        assert again.decisions[3].record == {"text": "да"}
        assert list(again.decisions) == [3]
        again.decide(5, "drop")
    with Journal(output, [source], "all") as again:
        assert list(again.decisions) == [3, 5]
    with pytest.raises(UsageError, match="of other rows"):
        Journal(output, [source], "some")
    source.write_text("{} ")
    with pytest.raises(UsageError, match="of other rows"):
        Journal(output, [source], "all")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["а.jsonl", "б.jsonl.review"]
