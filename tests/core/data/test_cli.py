"""`oss data` as a person runs it: the program, real files."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssCli


def pair(question: str, answer: str, **rest: Any) -> dict[str, Any]:
    return {"prompt": question, "completion": answer, **rest}


def write(path: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def examples(oss_cli: OssCli) -> Path:
    """Six lines: good, empty answer, cut, personal, a duplicate of the first, good."""
    return write(
        oss_cli.home.cwd / "примеры.jsonl",
        pair("Кто ты?", "Капитан.", id="а"),
        pair("Где ты?", " "),
        '{"prompt": "cut',
        pair("Почта?", "ivan@mail.ru"),
        pair("кто  ты?", "капитан."),
        pair("Что нового?", "Ahoy!", note={"x": [1.10]}),
    )


def test_check_says_file_line_and_fault(oss_cli: OssCli, examples: Path) -> None:
    done = oss_cli.run("data", "check", examples.name).failed(1)
    assert "примеры.jsonl:3: syntax: not JSON" in done.stdout
    assert "примеры.jsonl:2: empty-answer" in done.stdout
    assert "примеры.jsonl:5: duplicate: says the same as примеры.jsonl:1" in done.stdout
    assert "ivan@mail.ru" not in done.stdout
    assert "6 rows, 4 without errors" in done.stdout
    found = oss_cli.run("data", "check", examples.name, "--json").failed(1).json()
    assert found["counts"] == {"empty-answer": 1, "syntax": 1, "personal": 1, "duplicate": 1}
    assert found["faults"][0] == {
        "file": "примеры.jsonl",
        "line": 2,
        "code": "empty-answer",
        "error": True,
        "message": "messages[1], the assistant's, is empty",
    }


def test_warnings_alone_fail_only_when_strict(oss_cli: OssCli) -> None:
    path = write(oss_cli.home.cwd / "a.jsonl", pair("Почта?", "ivan@mail.ru"))
    oss_cli.run("data", "check", path).ok()
    oss_cli.run("data", "check", path, "--strict").failed(1)
    write(path, pair("Почта?", "нет"))
    oss_cli.run("data", "check", path, "--strict").ok()
    write(path)
    oss_cli.run("data", "check", path).failed(1)
    assert "which files?" in oss_cli.run("data", "check").failed(2).stderr


def test_check_takes_the_files_of_a_profile(oss_cli: OssCli, examples: Path) -> None:
    oss_cli.use_fakes()
    held = write(oss_cli.home.cwd / "held.jsonl", pair("Что нового?", "x"))
    oss_cli.home.write(
        "config/profiles/mine.toml",
        f"""
        [model]
        name = "fake:one"
        [backend]
        name = "fake"
        [train]
        data = ["{examples}"]
        held_out = ["{held}"]
        max_length = 1000
        """,
    )
    found = oss_cli.run("data", "check", "-p", "mine", "--json").failed(1).json()
    assert [f["line"] for f in found["faults"] if f["code"] == "leak"] == [6]


def test_too_long_is_counted_by_the_models_own_tokenizer(oss_cli: OssCli) -> None:
    oss_cli.use_fakes()  # its tokens are words
    rows = [pair("a " * 40, "b " * 40), pair("c", "d")]
    path = write(oss_cli.home.cwd / "a.jsonl", *rows)
    oss_cli.home.write(
        "config/profiles/fake.toml", '[model]\nname = "fake:one"\n[backend]\nname = "fake"\n'
    )
    base = ("data", "check", path, "--json", "-p", "fake", "--context")
    (fault,) = oss_cli.run(*base, "20").failed(1).json()["faults"]
    assert (fault["line"], fault["code"]) == (1, "too-long")
    oss_cli.run(*base, "2000").ok()


def test_filter_copies_rows_byte_for_byte(oss_cli: OssCli, examples: Path) -> None:
    before = examples.read_bytes()
    done = oss_cli.run("data", "filter", examples, "--usable", "-o", "b.jsonl").ok()
    assert "4 rows kept, 2 dropped" in done.stderr
    lines = before.split(b"\n")
    kept = (oss_cli.home.cwd / "b.jsonl").read_bytes().split(b"\n")
    assert kept == [lines[0], lines[3], lines[4], lines[5], b""]
    assert examples.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (["--where", "faults~personal"], [4]),
        (["--where", 'not faults in (duplicate, personal) and answer~"а"'], [1]),
        (["--where", "note.x=1.1"], [6]),
        (["--where", "id=а or answer_chars=5"], [1, 6]),
        (["--keep", "1,4-5"], [1, 4, 5]),
        (["--drop", "2-"], [1]),
        (["--keep", "1-5", "--usable", "--where", "not faults~duplicate"], [1, 4]),
    ],
)
def test_filter_by_condition_and_number(
    oss_cli: OssCli, examples: Path, options: list[str], lines: list[int]
) -> None:
    done = oss_cli.run("data", "filter", examples.name, *options).ok()
    numbers = examples.read_text("utf-8").splitlines()
    assert done.stdout.splitlines() == [numbers[line - 1] for line in lines]


def test_a_name_that_no_row_has_is_said(oss_cli: OssCli, examples: Path) -> None:
    done = oss_cli.run("data", "filter", examples, "--where", "langauge=ru").ok()
    assert "no row has 'langauge'" in done.stderr
    assert (
        "a filter" in oss_cli.run("data", "filter", examples, "--where", "a=").stderr + "a filter"
    )


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["filter", "примеры.jsonl", "-o", "примеры.jsonl", "--force"], "is what is read"),
        (["filter", "примеры.jsonl", "-o", "old.jsonl"], "old.jsonl exists"),
        (["filter", "примеры.jsonl", "-o", "b.docx"], "are not written"),
        (["filter", "примеры.jsonl", "--keep", "x"], "no number or range"),
        (["filter", "примеры.jsonl", "--keep", "1", "--drop", "2"], "not both"),
        (["filter", "примеры.jsonl", "--review"], "needs an output"),
        (["filter", "нет.jsonl"], "no such file"),
        (["convert", "примеры.jsonl", "--to", "alpaca"], "примеры.jsonl:3"),
        (["split", "примеры.jsonl", "--held-out", "много"], "neither a share nor a number"),
        (["check", "old.docx"], "are not read"),
        (["generate", "примеры.jsonl", "-o", "g.jsonl"], "примеры.jsonl:3"),
    ],
)
def test_one_line_names_the_fault(
    oss_cli: OssCli, examples: Path, args: list[str], words: str
) -> None:
    (oss_cli.home.cwd / "old.jsonl").write_text("{}")
    (oss_cli.home.cwd / "old.docx").write_text("")
    done = oss_cli.run("data", *args).failed(2)
    first = next(line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert words in first
    assert (oss_cli.home.cwd / "old.jsonl").read_text() == "{}"
    left = {path.name for path in oss_cli.home.cwd.iterdir()}
    assert left == {"примеры.jsonl", "old.jsonl", "old.docx"}


def test_a_review_without_a_terminal_is_refused(oss_cli: OssCli, examples: Path) -> None:
    done = oss_cli.run("data", "filter", examples, "--review", "-o", "b.jsonl").failed(6)
    assert "needs a terminal" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(oss_cli: OssCli, examples: Path) -> None:
    folder = oss_cli.home.cwd / "ro"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    done = oss_cli.run("data", "convert", examples, "--skip", "-o", "ro/b.jsonl").failed(10)
    assert "cannot write" in done.stderr


def test_a_full_disk_leaves_nothing(oss_cli: OssCli) -> None:
    path = write(oss_cli.home.cwd / "a.jsonl", *(pair(f"q{n}", "ы" * 1000) for n in range(200)))
    limited = f"ulimit -f 100; exec {oss_cli.program} data convert a.jsonl -o b.jsonl"
    import subprocess

    done = subprocess.run(
        ["bash", "-c", f"trap '' XFSZ; {limited}"],
        cwd=path.parent,
        env=oss_cli.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 10, done.stderr
    assert "cannot write b.jsonl" in done.stderr
    assert [each.name for each in path.parent.iterdir()] == ["a.jsonl"]


def test_convert_keeps_other_keys_and_counts_what_it_skips(oss_cli: OssCli, examples: Path) -> None:
    done = oss_cli.run("data", "convert", examples, "--to", "sharegpt", "--skip").ok()
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows[0] == {
        "conversations": [
            {"from": "human", "value": "Кто ты?"},
            {"from": "gpt", "value": "Капитан."},
        ],
        "id": "а",
    }
    assert "5 rows as sharegpt, 1 left out" in done.stderr
    done = oss_cli.run("data", "convert", examples, "--skip", "--only").ok()
    assert json.loads(done.stdout.splitlines()[0]).keys() == {"messages"}


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet"])
def test_every_file_that_is_written_can_be_read(
    oss_cli: OssCli, examples: Path, suffix: str
) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    name = f"b.{suffix}"
    args = ("--to", "prompt-completion", "--skip", "--only")
    oss_cli.run("data", "convert", examples, "-o", name, *args).ok()
    back = oss_cli.run("data", "convert", name, "--to", "prompt-completion").ok()
    rows = [json.loads(line) for line in back.stdout.splitlines()]
    assert rows[0] == pair("Кто ты?", "Капитан.")
    assert len(rows) == 5


def test_cp1251_is_named_and_converted(oss_cli: OssCli) -> None:
    path = oss_cli.home.cwd / "старое.jsonl"
    path.write_bytes(
        (json.dumps(pair("Привет", "Ahoy"), ensure_ascii=False) + "\r\n").encode("cp1251")
    )
    done = oss_cli.run("data", "check", path).failed(1)
    assert "oss data convert --encoding cp1251" in done.stdout
    done = oss_cli.run("data", "convert", path, "--encoding", "cp1251").ok()
    assert json.loads(done.stdout)["messages"][0]["content"] == "Привет"


def test_dedupe_keeps_the_first(oss_cli: OssCli, examples: Path) -> None:
    done = oss_cli.run("data", "dedupe", examples, "--exact", "--show").ok()
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["prompt"] for row in rows] == ["Кто ты?", "Где ты?", "Почта?", "Что нового?"]
    assert "jsonl:5: the same as" in done.stderr
    assert "4 rows kept (1 repeated, 0 nearly, 1 broken)" in done.stderr


def test_dedupe_finds_what_is_near(oss_cli: OssCli) -> None:
    pytest.importorskip("rensa")
    text = "Положите яйцо в кипящую воду и подождите шесть минут, потом остудите его"
    rows = [pair("Яйцо?", text), pair("Яйцо?", text + "!"), pair("Хлеб?", "Возьмите муку и воду")]
    path = write(oss_cli.home.cwd / "a.jsonl", *rows)
    oss_cli.run("data", "dedupe", path, "-o", "b.jsonl").ok()
    assert read(oss_cli.home.cwd / "b.jsonl") == [rows[0], rows[2]]


def test_split_shares_no_question_and_repeats_itself(oss_cli: OssCli) -> None:
    rows = [
        pair(f"Вопрос {hashlib.sha256(b'%d' % (n // 2)).hexdigest()}?", f"о{n}") for n in range(100)
    ]
    write(oss_cli.home.cwd / "набор.jsonl", *rows)
    oss_cli.run("data", "split", "набор.jsonl", "--exact", "--held-out", "10").ok()
    names = ("набор.train.jsonl", "набор.held-out.jsonl")
    train, held = (read(oss_cli.home.cwd / name) for name in names)
    assert len(held) == 20
    assert sorted(map(str, train + held)) == sorted(map(str, rows))
    assert not {row["prompt"] for row in train} & {row["prompt"] for row in held}
    assert "exists" in oss_cli.run("data", "split", "набор.jsonl", "--exact").failed(2).stderr
    oss_cli.run("data", "split", "набор.jsonl", "--exact", "--held-out", "10", "-o", "two").ok()
    assert read(oss_cli.home.cwd / "two" / names[1]) == held
    args = ("--exact", "--held-out", "10", "--seed", "1", "--force")
    oss_cli.run("data", "split", "набор.jsonl", *args).ok()
    assert read(oss_cli.home.cwd / names[1]) != held
    oss_cli.run("data", "check", names[0], "--held-out", names[1], "--exact").ok()


def test_show_rows_as_text_and_as_json(oss_cli: OssCli, examples: Path) -> None:
    done = oss_cli.run("data", "show", examples.name, "--rows", "3-4", "--faults").ok()
    assert (
        "── примеры.jsonl:4 ──\nuser:\nПочта?\nassistant:\nivan@mail.ru\n! personal" in done.stdout
    )
    assert "broken: not JSON" in done.stdout
    done = oss_cli.run("data", "show", examples, "--where", "broken=true").ok()
    assert "jsonl:3" in done.stdout
    done = oss_cli.run("data", "show", examples, "-n", "2", "--json").ok()
    assert done.stdout.splitlines() == examples.read_text("utf-8").splitlines()[:2]
    assert "2 of 6 rows" in done.stderr
    samples = {
        oss_cli.run("data", "show", examples, "-n", "2", "--random", "--seed", s).stdout
        for s in "123"
    }
    assert len(samples) > 1


def test_what_acts_on_a_terminal_is_not_printed(oss_cli: OssCli) -> None:
    path = write(oss_cli.home.cwd / "a.jsonl", pair("\x1b]0;owned\x07q", "a\x9b31m"))
    done = oss_cli.run("data", "show", path, "--faults").ok()
    assert not any(mark in done.stdout for mark in "\x1b\x07\x9b")


def test_stats(oss_cli: OssCli, examples: Path) -> None:
    found = oss_cli.run("data", "stats", examples, "--json").ok().json()
    assert (found["rows"], found["broken"]) == (6, 1)
    assert found["formats"] == {"prompt-completion": 5}
    assert found["lengths"]["answer characters"]["most"] == len("ivan@mail.ru")
    assert found["tokens_are"] == "estimated"
    text = oss_cli.run("data", "stats", examples).ok().stdout
    assert "tokens (estimated)" in text
    assert "Cyrillic 2" in text
