"""A teacher writes the answers: kept one by one, gone on with, with who wrote them."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssCli

FAKE = ("-m", "fake:one", "--set", "backend.name=fake")

SLOW = """
from oss.contracts.descriptors import Descriptor
from oss.hookspecs import hookimpl
from oss.testing.fakes import FakeAnswer, FakeBackend

def answer(request):
    text = request.messages[-1].content
    if "cut" in text:
        return FakeAnswer("half", finish_reason="length")
    return FakeAnswer(f"ответ на {text}", delay_s=0.15, reasoning="хм")

class Slow(FakeBackend):
    name = "slow"
    def __init__(self):
        super().__init__(*[answer] * 100)

@hookimpl
def oss_backends():
    return [Descriptor("slow", "", f"{__name__}:Slow", capabilities=frozenset({"batching"}))]
"""


def rows(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_lines_of_text_are_prompts(oss_cli: OssCli) -> None:
    oss_cli.use_fakes()
    (oss_cli.home.cwd / "вопросы.txt").write_text("\ufeffКто ты?\r\n\nГде ты?\n", "utf-8")
    args = ("data", "generate", "вопросы.txt", "-o", "о.jsonl", *FAKE)
    done = oss_cli.run(*args).ok()
    assert "2 rows written" in done.stderr
    assert done.stdout == ""
    first, second = rows(oss_cli.home.cwd / "о.jsonl")
    assert first["messages"][0] == {"role": "user", "content": "Кто ты?"}
    assert first["messages"][1]["role"] == "assistant"
    wrote = first["provenance"]
    assert wrote["model_ref"] == "fake:one"
    assert (wrote["prompt"], wrote["backend"]) == ("вопросы.txt:1", "fake")
    assert second["provenance"]["prompt"] == "вопросы.txt:3"
    assert sorted(p.name for p in oss_cli.home.cwd.iterdir()) == ["вопросы.txt", "о.jsonl"]
    assert "exists" in oss_cli.run(*args).failed(2).stderr
    oss_cli.run("data", "check", "о.jsonl").ok()


def test_rows_of_any_format_are_prompts(oss_cli: OssCli) -> None:
    oss_cli.use_fakes()
    chat = [
        {"role": "system", "content": "Ты — попугай."},
        {"role": "user", "content": "раз"},
        {"role": "assistant", "content": "два"},
        {"role": "user", "content": "три"},
        {"role": "assistant", "content": "старый ответ"},
    ]
    path = oss_cli.home.cwd / "p.jsonl"
    lines = [{"messages": chat, "id": 5}, {"instruction": "a", "input": "", "output": "b"}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    oss_cli.run("data", "generate", path, "-o", "o.jsonl", *FAKE).ok()
    first, second = rows(oss_cli.home.cwd / "o.jsonl")
    assert first["messages"][:4] == chat[:4]
    assert len(first["messages"]) == 5
    assert first["messages"][4]["content"] != "старый ответ"
    assert first["id"] == 5
    assert second["messages"][0]["content"] == "a"


def test_stopped_and_gone_on_with(oss_cli: OssCli) -> None:
    oss_cli.use_fakes()
    oss_cli.add_plugin("slow", SLOW)
    cwd = oss_cli.home.cwd
    (cwd / "p.txt").write_text("".join(f"вопрос номер {n}\n" for n in range(12)), "utf-8")
    args = ["data", "generate", "p.txt", "-o", "o.jsonl", "-m", "fake:one"]
    args += ["--set", "backend.name=slow", "--parallel", "2"]
    process = oss_cli.start(*args)
    part = cwd / "o.jsonl.part"
    until = time.monotonic() + 60
    while not part.exists() or len(part.read_bytes().splitlines()) < 4:
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on" in errors.decode()
    assert not (cwd / "o.jsonl").exists()
    kept = part.read_bytes().splitlines()[1:]
    assert 3 <= len(kept) < 12
    other = oss_cli.run(*args, "--set", "sampling.temperature=0.1").failed(2)
    assert "of another profile or other settings" in other.stderr
    done = oss_cli.run(*args).ok()
    assert f"{len(kept)} answered before" in done.stderr
    written = rows(cwd / "o.jsonl")
    assert [row["messages"][0]["content"] for row in written] == [
        f"вопрос номер {n}" for n in range(12)
    ]
    created = {row["provenance"]["created"] for row in map(_record, kept)}
    assert created <= {row["provenance"]["created"] for row in written}
    assert "reasoning_content" not in written[0]["messages"][1]
    assert not part.exists()


def _record(line: bytes) -> Any:
    return json.loads(line)["record"]


def test_cut_answers_are_left_out_and_thoughts_kept_when_asked(oss_cli: OssCli) -> None:
    oss_cli.use_fakes()
    oss_cli.add_plugin("slow", SLOW)
    (oss_cli.home.cwd / "p.txt").write_text("cut\nда\n", "utf-8")
    args = ("data", "generate", "p.txt", "-m", "fake:one", "--set", "backend.name=slow")
    done = oss_cli.run(*args, "-o", "a.jsonl", "--reasoning").ok()
    assert "left out: 1 cut at the longest length" in done.stderr
    (row,) = rows(oss_cli.home.cwd / "a.jsonl")
    assert row["messages"][1]["reasoning_content"] == "хм"
    oss_cli.run(*args, "-o", "b.jsonl", "--keep-cut").ok()
    assert len(rows(oss_cli.home.cwd / "b.jsonl")) == 2


@pytest.mark.real
def test_the_starter_teaches(oss_cli: OssCli, starter_home: Any) -> None:
    (oss_cli.home.cwd / "p.txt").write_text("What is the capital of France?\nSay hello.\n")
    args = ("-p", "starter", "--max-tokens", "60", "--keep-cut")
    oss_cli.run("data", "generate", "p.txt", "-o", "o.jsonl", *args).ok()
    first, second = rows(oss_cli.home.cwd / "o.jsonl")
    assert "Paris" in first["messages"][1]["content"]
    assert second["provenance"]["tokens"] > 0
    checked = oss_cli.run("data", "check", "o.jsonl", "-p", "starter", "--context", "30", "--json")
    assert "too-long" in checked.failed(1).json()["counts"]
    stats = oss_cli.run("data", "stats", "o.jsonl", "-p", "starter", "--json").ok().json()
    assert stats["tokens_are"] == "counted"
