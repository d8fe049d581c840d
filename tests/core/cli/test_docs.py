"""``oss docs search | list | show | rm | eval | export | backup | restore | migrate``."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from oss.retrieval.indexing.manifest import Manifest

if TYPE_CHECKING:
    from oss.testing.program import OssCli

pytest.importorskip("qdrant_edge")

FILES = {
    "moon.md": "# Moon\n\nThe moon has craters and no air.\n\n## Tides\n\nIt pulls the tides.",
    "tea.txt": "Tea is brewed from leaves of a bush.\n\nGreen tea is not fermented.",
    "кошки.md": "# Кошки\n\nМанул живёт в степях Монголии. Его шерсть густая и длинная.",
}


@pytest.fixture
def cli(oss_cli: OssCli) -> OssCli:
    oss_cli.use_fakes()
    for name, text in FILES.items():
        (oss_cli.home.cwd / name).write_text(text, encoding="utf-8")
    oss_cli.run("docs", "add", ".", "--to", "work", "--embedder", "fake").ok()
    return oss_cli


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["source"].rpartition("/")[2] for row in rows]


def test_search_prints_sources_and_text(cli: OssCli) -> None:
    found = cli.run("docs", "search", "craters and", "no air", "-k", "1").ok()
    assert "moon.md:3 Moon" in found.stdout
    assert "The moon has craters" in found.stdout
    assert found.stderr == ""
    assert "\x1b" not in found.stdout


def test_search_takes_filters_modes_and_counts(cli: OssCli) -> None:
    def search(*args: str) -> list[str]:
        return names(cli.run("docs", "search", "--json", *args).ok().json())

    assert search("где живут манулы", "-k", "1") == ["кошки.md"]
    assert search("манул", "--mode", "bm25") == ["кошки.md"]
    assert set(search("tea", "--where", "source~tea")) == {"tea.txt"}
    assert search("tea", "--where", "format=nothing") == []
    assert len(search("moon tea", "--mode", "dense", "-k", "2")) == 2
    assert search("fermented tea", "--fusion", "dbsf", "--diversity", "0.3")[0] == "tea.txt"
    (row,) = (
        cli.run("docs", "search", "tides", "--neighbours", "1", "-k", "1", "--json").ok().json()
    )
    assert "craters" in row["text"]


def test_nothing_found_is_said_on_stderr(cli: OssCli) -> None:
    found = cli.run("docs", "search", "unheard", "--mode", "bm25").ok()
    assert (found.stdout, found.stderr) == ("", "nothing found\n")


WRONG: list[tuple[tuple[str, ...], int, str]] = [
    (("search", "x", "--in", "wrk"), 2, "did you mean 'work'?"),
    (("search", "x", "--where", "source~"), 2, "no value"),
    (("search", "x", "--store", "chrome"), 3, "unknown store 'chrome'"),
    (("search", "x", "--reranker", "sentance"), 3, "did you mean 'sentences'?"),
    (("search", "x", "--profile", "nope"), 3, "nope"),
    (("show", "wrk"), 2, "did you mean 'work'?"),
    (("rm", "wrk", "-y"), 2, "no collection 'wrk'"),
    (("rm", "work"), 6, "add --yes"),
    (("rm", "work", "nowhere.md", "-y"), 2, "no source 'nowhere.md'"),
    (("rm", "work", "a", "--where", "b=1", "-y"), 2, "not both"),
    (("eval", "wrk"), 2, "no collection"),
    (("export", "wrk"), 2, "no collection"),
    (("backup", "wrk", "x.tgz"), 2, "not on this machine"),
    (("restore", "tea.txt", "--as", "tea"), 2, "no whole backup"),
    (("migrate", "work"), 2, "where to?"),
    (("migrate", "work", "--as", "../x"), 2, "cannot be the name"),
    (("migrate", "work", "--to-url", "http://127.0.0.1:9"), 9, "127.0.0.1:9"),
]


def test_what_is_wrong_is_said_in_one_line(cli: OssCli) -> None:
    pytest.importorskip("qdrant_client")
    for args, code, words in WRONG:
        failed = cli.run("docs", *args).failed(code)
        assert words in failed.stderr, str(failed)
        assert "Traceback" not in failed.stderr
        assert failed.stdout == ""


def test_list_and_show(cli: OssCli) -> None:
    (row,) = cli.run("docs", "list", "--json").ok().json()
    assert (row["name"], row["sources"], row["embedder"]) == ("work", 3, "fake")
    assert set(row["languages"]) >= {"en", "ru"}
    shown = cli.run("docs", "show", "work", "--sources").ok().stdout
    assert "кошки.md" in shown
    assert cli.run("docs", "list").ok().stdout.splitlines()[1].startswith("work")
    cli.run("docs", "rm", "work", "--yes").ok()
    empty = cli.run("docs", "list").ok()
    assert (empty.stdout, empty.stderr) == ("", "no collections: oss docs add PATH --to NAME\n")


def test_rm_takes_sources_or_a_filter(cli: OssCli) -> None:
    cli.run("docs", "rm", "work", "--where", "source~tea", "-y").ok()
    rows = cli.run("docs", "search", "tea", "--json").ok().json()
    assert "tea.txt" not in names(rows)
    source = cli.home.cwd / "moon.md"
    cli.run("docs", "rm", "work", str(source), "-y").ok()
    assert source.exists()
    assert cli.run("docs", "show", "work", "--json").ok().json()["sources"] == 1


def test_eval_with_questions_of_a_file_and_of_its_own(cli: OssCli) -> None:
    rows = [
        {"question": "craters of the moon", "source": str(cli.home.cwd / "moon.md")},
        {"question": "шерсть манула", "source": [str(cli.home.cwd / "кошки.md"), "other"]},
        {"question": "leaves of a bush", "source": "nowhere"},
    ]
    file = cli.home.cwd / "вопросы.jsonl"
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    scores = cli.run("docs", "eval", "work", "--questions", file, "--json").ok().json()
    assert set(scores) == {"dense", "bm25", "hybrid rrf", "hybrid dbsf"}
    assert scores["bm25"]["recall_1"] == pytest.approx(2 / 3)
    assert scores["bm25"]["mrr"] == pytest.approx(2 / 3)
    assert "recall@10" in cli.run("docs", "eval", "work", "-n", "3").ok().stdout
    file.write_text('{"question": "x"}')
    failed = cli.run("docs", "eval", "work", "--questions", file).failed(2)
    assert "вопросы.jsonl:1" in failed.stderr


LAYOUTS = {
    "langchain": {"id", "page_content", "metadata"},
    "haystack": {"id", "content", "meta"},
    "llamaindex": {"id", "text", "metadata"},
}


def test_export_in_the_words_of_others(cli: OssCli) -> None:
    file = cli.home.cwd / "out.jsonl"
    for layout, keys in LAYOUTS.items():
        out = cli.run("docs", "export", "work", "--layout", layout).ok().stdout
        rows = [json.loads(line) for line in out.splitlines()]
        assert rows
        assert all(set(row) == keys for row in rows)
    cli.run("docs", "export", "work", file, "--vectors").ok()
    row = json.loads(file.read_text("utf-8").splitlines()[0])
    assert len(row["embedding"]) == 64
    assert row["sparse_embedding"]["indices"]


def test_backup_and_restore(cli: OssCli) -> None:
    before = cli.run("docs", "search", "tea", "--json").ok().stdout
    cli.run("docs", "backup", "work", "work.tgz").ok()
    assert (cli.home.cwd / "work.tgz").stat().st_size < 3_000_000
    cli.run("docs", "backup", "work", "work.tgz").failed(2)
    with closing(Manifest(cli.home.path / "data" / "collections" / "work" / "manifest.sqlite")):
        busy = cli.run("docs", "backup", "work", "other.tgz").failed(8)
    assert "another process is indexing into 'work'" in busy.stderr
    cli.run("docs", "rm", "work", "-y").ok()
    cli.run("docs", "restore", "work.tgz", "--as", "work").ok()
    assert cli.run("docs", "search", "tea", "--json").ok().stdout == before
    cli.run("docs", "restore", "work.tgz", "--as", "work").failed(2)
    whole = (cli.home.cwd / "work.tgz").read_bytes()
    (cli.home.cwd / "half.tgz").write_bytes(whole[: len(whole) // 2])
    cli.run("docs", "restore", "half.tgz", "--as", "half").failed(2)
    assert len(cli.run("docs", "list", "--json").ok().json()) == 1


def test_migrate_copies_vectors_and_compares(cli: OssCli) -> None:
    moved = cli.run("docs", "migrate", "work", "--as", "copy").ok()
    assert "100% of the first ten hits are the same" in moved.stderr
    shown = [cli.run("docs", "show", name, "--json").ok().json() for name in ("work", "copy")]
    assert {**shown[0], "name": ""} == {**shown[1], "name": ""}
    cli.run("docs", "migrate", "work", "--as", "copy").failed(2)


def test_a_profile_answers_from_the_collection(cli: OssCli) -> None:
    profiles = cli.home.path / "config" / "profiles"
    profiles.mkdir(parents=True, exist_ok=True)
    (profiles / "docs.toml").write_text(
        '[model]\nname = "fake:fake"\n[retriever]\nname = "qdrant"\ncollections = ["work"]\nk = 2\n'
    )
    planned = cli.run("run", "--profile", "docs", "--dry-run", "Where does the manul live, манул?")
    messages = planned.ok().json()["request"]["messages"]
    assert "кошки.md" in messages[-1]["content"]
    cli.run("run", "--profile", "docs", "--set", "retriever.collections=[]", "x").failed(3)


def test_a_persona_brings_documents_of_its_own(cli: OssCli) -> None:
    """Alone, and beside those of the profile."""
    (cli.home.cwd / "bees.md").write_text("Bees dance to show where nectar is.")
    cli.run("docs", "add", "bees.md", "--to", "bees", "--embedder", "fake").ok()
    config = cli.home.path / "config"
    for folder in ("personas", "profiles"):
        (config / folder).mkdir(parents=True, exist_ok=True)
    (config / "personas" / "пчеловод.toml").write_text(
        'system = "You keep bees."\ncollections = ["bees"]\n', "utf-8"
    )
    profile = '[model]\nname = "fake:fake"\n[persona]\nname = "пчеловод"\n'
    (config / "profiles" / "own.toml").write_text(profile, "utf-8")
    both = '[retriever]\nname = "qdrant"\ncollections = ["work"]\nmode = "bm25"\n'
    (config / "profiles" / "both.toml").write_text(profile + both, "utf-8")

    def prompt(profile: str) -> str:
        planned = cli.run("run", "--profile", profile, "--dry-run", "nectar for the manul, манул?")
        text: str = planned.ok().json()["request"]["messages"][-1]["content"]
        return text

    assert "bees.md" in prompt("own")
    assert "кошки.md" not in prompt("own")
    assert "bees.md" in prompt("both")
    assert "кошки.md" in prompt("both")
