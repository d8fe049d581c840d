"""``oss log`` as a program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pexpect
import pytest

from oss.contracts.messages import Message
from oss.contracts.retriever import Passage
from oss.store import Setup, Store

if TYPE_CHECKING:
    from oss.testing.program import OssCli

SETUP = Setup("coder", "0" * 64, "file:/m.gguf", "fake", "критик")


@pytest.fixture
def filled(oss_cli: OssCli) -> OssCli:
    with Store() as store:
        for title, answer in (("Про ежа", "Ёж в тумане."), ("About a fox", "Quick \x1b[2J brown")):
            conversation = store.create(title)
            user = Message("user", f"{title}?")
            turn = store.begin_turn(conversation, user, SETUP)
            store.end_turn(turn, "done", [user, Message("assistant", answer, reasoning="хм")])
        store.begin_turn(1, Message("user", "без ответа"), SETUP)
    return oss_cli


def test_empty(oss_cli: OssCli) -> None:
    assert oss_cli.run("log", "list").ok().stdout == ""
    assert oss_cli.run("log", "list", "--json").ok().json() == []
    assert "no conversations yet" in oss_cli.run("log", "show").failed(2).stderr


def test_list(filled: OssCli) -> None:
    out = filled.run("log", "list").ok().stdout
    assert out.index("Про ежа") < out.index("About a fox")
    assert "coder" in out
    assert len(filled.run("log", "list", "-n", "1", "--json").ok().json()) == 1


def test_show(filled: OssCli) -> None:
    out = filled.run("log", "show", "1").ok().stdout
    assert "Ёж в тумане." in out
    assert "unfinished" in out
    turns = filled.run("log", "show", "1", "--json").ok().json()["turns"]
    assert turns[0]["profile"] == "coder"
    assert turns[0]["messages"][1]["reasoning_content"] == "хм"
    assert "\x1b[2J" not in filled.run("log", "show", "2").ok().stdout
    assert "no conversation 9" in filled.run("log", "show", "9").failed(2).stderr


def test_show_has_the_sources(oss_cli: OssCli) -> None:
    with Store() as store:
        user = Message("user", "Что это?")
        turn = store.begin_turn(store.create("Ёж"), user, SETUP)
        passages = [
            Passage("Ёж — это зверь.", "ежи.md", (0, 15), 0.75, {"line": 3}),
            Passage("Лиса.", "лисы.md", (0, 5), 0.5),
        ]
        answer = [user, Message("assistant", "Зверь [1].")]
        store.end_turn(turn, "done", answer, passages=passages)
    out = oss_cli.run("log", "show").ok().stdout
    assert out.endswith("sources:\n  [1] ежи.md:3  0.750\n")


@pytest.mark.parametrize(("words", "ids"), [(["ЁЖ"], [1]), (["тума", "ёж"], [1]), (["fo"], [2, 2])])
def test_search(filled: OssCli, words: list[str], ids: list[int]) -> None:
    hits = filled.run("log", "search", "--json", *words).ok().json()
    assert [hit["conversation"] for hit in hits] == ids
    assert str(ids[0]) in filled.run("log", "search", *words).ok().stdout


def test_search_without_a_hit(filled: OssCli) -> None:
    outcome = filled.run("log", "search", '"; DROP').ok()
    assert (outcome.stdout, outcome.stderr.strip()) == ("", "nothing found")


def test_export_as_training_data(filled: OssCli) -> None:
    lines = filled.run("log", "export", "--all", "--format", "jsonl").ok().stdout.splitlines()
    rows = [json.loads(line)["messages"] for line in lines]
    assert rows[0] == [
        {"role": "user", "content": "Про ежа?"},
        {"role": "assistant", "content": "Ёж в тумане."},
    ]
    assert len(rows) == 2


def test_export_to_a_file(filled: OssCli) -> None:
    filled.run("log", "export", "1", "-o", "ёж.md").ok()
    text = (filled.home.cwd / "ёж.md").read_text(encoding="utf-8")
    assert text.startswith("# Про ежа\n\n## User\n\nПро ежа?\n")
    [whole] = filled.run("log", "export", "2", "--format", "json").ok().json()
    assert whole["title"] == "About a fox"
    assert "cannot write" in filled.run("log", "export", "1", "-o", "нет/ёж.md").failed(10).stderr


def test_rm(filled: OssCli) -> None:
    assert "needs a yes" in filled.run("log", "rm", "1").failed(6).stderr
    assert "which conversations" in filled.run("log", "rm").failed(2).stderr
    filled.run("log", "rm", "1", "9", "-y").failed(2)
    assert len(filled.run("log", "list", "--json").json()) == 2
    filled.run("log", "rm", "-y", "1").ok()
    assert filled.run("log", "search", "ёж", "--json").ok().json() == []
    filled.run("log", "rm", "-y", "--all").ok()
    assert filled.run("log", "list", "--json").json() == []


@pytest.mark.parametrize(("answer", "left"), [("n", 2), ("y", 1)])
def test_rm_asks(filled: OssCli, answer: str, left: int) -> None:
    child = pexpect.spawn(
        str(filled.program), ["log", "rm", "1"], env=filled.environment(), encoding="utf-8"
    )
    child.expect("Про ежа")
    child.expect("delete 1 conversation")
    child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert len(filled.run("log", "list", "--json").json()) == left
