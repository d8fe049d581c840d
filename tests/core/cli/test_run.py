"""``oss run`` as a program: what it prints where, and its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssCli, OssHome

PLAIN_RIGHTS = (
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
)

# Scripted answers that texts alone cannot give: tool calls, thinking, slowness.
PLUGIN = """
from oss.contracts.descriptors import Descriptor
from oss.contracts.messages import ToolCall
from oss.hookspecs import hookimpl
from oss.testing.fakes import FakeAnswer, FakeBackend, FakeTool

class Calling(FakeBackend):
    name = "calling"
    def __init__(self):
        super().__init__(FakeAnswer(tool_calls=(ToolCall("1", "risky", "{}"),)), "итог")

class Slow(FakeBackend):
    name = "slow"
    def __init__(self):
        super().__init__(FakeAnswer("слово " * 500, delay_s=0.05))

class Thinking(FakeBackend):
    name = "thinking"
    def __init__(self):
        super().__init__(FakeAnswer("ответ", reasoning="размышление"))

def risky():
    return FakeTool("risky", safe=False)

ALL = frozenset({"tools", "json_schema", "logprobs", "adapters", "reasoning"})

@hookimpl
def oss_backends():
    return [
        Descriptor("calling", "", f"{__name__}:Calling", capabilities=ALL),
        Descriptor("slow", "", f"{__name__}:Slow", capabilities=ALL),
        Descriptor("thinking", "", f"{__name__}:Thinking", capabilities=ALL),
        Descriptor("bare", "", f"{__name__}:Thinking"),
    ]

@hookimpl
def oss_tools():
    return [Descriptor("risky", "", f"{__name__}:risky")]
"""

FAKE = ("--model", "fake:one", "--backend", "fake")


def answers(*texts: str) -> tuple[str, ...]:
    return (*FAKE, "--set", f"backend.fake.answers={json.dumps(texts, ensure_ascii=False)}")


@pytest.fixture
def cli(oss_cli: OssCli) -> OssCli:
    oss_cli.use_fakes()
    oss_cli.add_plugin("scripted", PLUGIN)
    return oss_cli


def test_only_the_answer_is_on_stdout(cli: OssCli) -> None:
    outcome = cli.run("run", *FAKE, "Привет,", "мир").ok()
    assert outcome.stdout == "Привет, мир\n"
    assert "fake:one" in outcome.stderr
    assert "profile base" in outcome.stderr
    assert cli.run("run", *FAKE, "-q", "x").ok().stderr == ""


def test_files_then_stdin_then_arguments(cli: OssCli, oss_home: OssHome) -> None:
    (oss_home.cwd / "а.txt").write_text("из файла", encoding="utf-8-sig")
    (oss_home.cwd / "b.txt").write_text("second", encoding="utf-8")
    out = cli.run("run", *FAKE, "-f", "а.txt", "-f", "b.txt", "вопрос", input="из stdin\n")
    text = out.ok().stdout
    places = [
        text.index(part)
        for part in ("File а.txt", "из файла", "File b.txt", "second", "из stdin", "вопрос")
    ]
    assert places == sorted(places)
    assert "\ufeff" not in text


def test_json(cli: OssCli) -> None:
    out = cli.run("run", *answers("Да."), "--json", "вопрос").ok().json()
    assert out["answer"] == "Да."
    assert (out["finish_reason"], out["model"], out["backend"]) == ("stop", "fake:one", "fake")
    assert (out["profile"], len(out["profile_hash"])) == ("base", 64)
    assert out["usage"]["completion_tokens"] == 1
    assert set(out["timings"]) >= {"load_s", "first_token_s", "tokens_per_second"}
    assert (out["conversation"], out["turn"]) == (1, 1)


def test_going_on(cli: OssCli) -> None:
    cli.run("run", *answers("первый"), "один").ok()
    cli.run("run", *answers("другой"), "иное").ok()
    plan = cli.run("run", *FAKE, "-c", "--dry-run", "дальше").ok().json()
    assert [m["content"] for m in plan["request"]["messages"][1:]] == ["иное", "другой", "дальше"]
    plan = cli.run("run", *FAKE, "--conversation", "1", "--dry-run", "дальше").ok().json()
    assert [m["content"] for m in plan["request"]["messages"][1:]] == ["один", "первый", "дальше"]
    cli.run("run", *answers("x"), "-c", "дальше").ok()
    assert [c["turn_count"] for c in cli.run("log", "list", "--json").json()] == [2, 1]
    cli.run("run", *answers("x"), "-c", "-n", "без записи").ok()
    assert [c["turn_count"] for c in cli.run("log", "list", "--json").json()] == [2, 1]


def test_going_on_keeps_the_profile(cli: OssCli, oss_home: OssHome) -> None:
    oss_home.write(
        "config/profiles/мой.toml",
        'extends = "base"\n[model]\nname = "fake:mine"\n[backend]\nname = "fake"\n',
    )
    cli.run("run", "-p", "мой", "x").ok()
    assert cli.run("run", "-c", "--dry-run", "y").ok().json()["profile"] == "мой"


def test_going_on_with_nothing(cli: OssCli) -> None:
    assert "no conversation to go on with" in cli.run("run", *FAKE, "-c", "x").failed(2).stderr
    assert "no conversation 7" in cli.run("run", *FAKE, "--conversation", "7", "x").failed(2).stderr


def test_no_log_keeps_nothing(cli: OssCli, oss_home: OssHome) -> None:
    cli.run("run", *FAKE, "-n", "x").ok()
    cli.run("run", *FAKE, "--dry-run", "x").ok()
    assert not list(oss_home.data.glob("conversations*"))


def test_dry_run_shows_the_request(cli: OssCli) -> None:
    plan = (
        cli.run(
            "run",
            *FAKE,
            "--dry-run",
            "-t",
            "0.5",
            "--seed",
            "3",
            "--max-tokens",
            "9",
            "--set",
            'persona.system="Ты кот."',
            "--schema",
            "name, age int",
            "Мяу?",
        )
        .ok()
        .json()
    )
    request = plan["request"]
    assert request["messages"] == [
        {"role": "system", "content": "Ты кот."},
        {"role": "user", "content": "Мяу?"},
    ]
    assert request["sampling"] == {"temperature": 0.5, "seed": 3, "max_tokens": 9}
    assert request["json_schema"]["required"] == ["name", "age"]
    assert plan["model"]["ref"] == "fake:one"


def test_persona_option_wins_over_the_profile(cli: OssCli) -> None:
    plan = cli.run("run", *FAKE, "--dry-run", "--persona", "fake", "x").ok().json()
    assert plan["persona"] == "fake"
    assert plan["request"]["messages"][0]["content"] == "You are a fake."


def test_schema_answer(cli: OssCli, oss_home: OssHome) -> None:
    (oss_home.cwd / "s.json").write_text('{"type": "object", "required": ["x"]}')
    good = cli.run("run", *answers('{"x": 1}'), "--schema", "s.json", "q").ok()
    assert json.loads(good.stdout) == {"x": 1}
    bad = cli.run("run", *answers('{"y": 1}'), "--schema", "s.json", "q").failed(5)
    assert "does not satisfy the schema" in bad.stderr


def test_cut_answer_is_said(cli: OssCli) -> None:
    outcome = cli.run("run", *answers("a b c d"), "--max-tokens", "2", "q").ok()
    assert outcome.stdout == "a b\n"
    assert "was cut" in outcome.stderr


def test_stats_and_reasoning_are_on_stderr(cli: OssCli) -> None:
    flags = ("--model", "fake:one", "--backend", "thinking")
    hidden = cli.run("run", *flags, "q").ok()
    assert (hidden.stdout, "размышление" in hidden.stderr) == ("ответ\n", False)
    shown = cli.run("run", *flags, "--show-reasoning", "--stats", "q").ok()
    assert shown.stdout == "ответ\n"
    assert "размышление" in shown.stderr
    assert "tokens/s" in shown.stderr


def test_tool_that_needs_consent_in_a_pipe(cli: OssCli) -> None:
    flags = ("--model", "fake:one", "--backend", "calling", "--set", 'tools.allow=["risky"]')
    refused = cli.run("run", *flags, "q").failed(6)
    assert refused.stdout == "итог\n"
    assert "tool 'risky' did not run" in refused.stderr
    assert "tools.consent=always" in refused.stderr
    out = cli.run("run", *flags, "--set", "tools.consent=always", "--json", "q").ok().json()
    assert out["tool_calls"] == [
        {"name": "risky", "arguments": "{}", "result": "done", "failed": False}
    ]
    cli.run("run", *flags, "--set", "tools.consent=never", "q").ok()


def test_capability_is_refused_with_a_backend_that_can(cli: OssCli) -> None:
    out = cli.run("run", "--model", "fake:one", "--backend", "bare", "--schema", "x", "q").failed(5)
    assert "'bare' has no json_schema" in out.stderr
    assert "--set backend.name=" in out.stderr


@pytest.mark.parametrize(
    ("args", "given", "code", "words"),
    [
        ((), b"", 2, "the prompt is empty"),
        ((), "привет".encode("cp1251"), 2, "stdin is not UTF-8"),
        (("q",), b"\xff\xfe", 2, "stdin is not UTF-8"),
        (("q",), b"a\x00b", 2, "zero bytes"),
        (("-f", "нет.txt", "q"), b"", 2, "cannot read нет.txt"),
        (("-f", ".", "q"), b"", 2, "cannot read .: Is a directory"),
        (("--schema", "{", "q"), b"", 2, "--schema: not JSON"),
        (("--schema", '{"type": "objec"}', "q"), b"", 2, "not a JSON Schema"),
        (("--schema", "нет.json", "q"), b"", 2, "there is no file"),
        (("--schema", "a inta", "q"), b"", 2, "unknown type"),
        (("-p", "нет", "q"), b"", 3, "нет"),
        (("--persona", "нет", "q"), b"", 3, "нет"),
        (("--backend", "fakee", "q"), b"", 3, "fakee"),
        (("--set", "sampling.temprature=1", "q"), b"", 3, "temprature"),
        (("--adapter", "нет.gguf", "q"), b"", 3, "adapter 'нет.gguf'"),
        (("--model", "fake:absent", "q"), b"", 4, "absent"),
        (("--set", "backend.fake.context=300", "x " * 400), b"", 7, "300"),
    ],
)
def test_bad_input(cli: OssCli, args: Any, given: bytes, code: int, words: str) -> None:
    outcome = cli.run("run", *FAKE, *args, input=given).failed(code)
    assert words in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert outcome.stdout == ""
    assert len(outcome.stderr.strip().splitlines()) <= 3


def test_unreadable_file_and_readonly_home(cli: OssCli, oss_home: OssHome) -> None:
    secret = oss_home.cwd / "secret.txt"
    secret.write_text("s")
    secret.chmod(0)

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PLAIN_RIGHTS, str(cli.program), "run", *FAKE, *args],
            env=cli.environment(),
            cwd=oss_home.cwd,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    unreadable = run("-f", "secret.txt", "q")
    assert unreadable.returncode == 2
    assert "error: cannot read secret.txt: Permission denied" in unreadable.stderr
    oss_home.path.chmod(0o555)
    try:
        readonly = run("q")
        assert readonly.returncode == 10, readonly.stderr
        assert "error: cannot make" in readonly.stderr
        assert "--no-log" in readonly.stderr
        assert run("-n", "q").stdout == "q\n"
    finally:
        oss_home.path.chmod(0o755)


def test_damaged_store(cli: OssCli, oss_home: OssHome) -> None:
    path = oss_home.write("data/conversations.db", "damaged " * 100)
    outcome = cli.run("run", *FAKE, "q").failed(10)
    assert "is damaged" in outcome.stderr
    assert path.read_text().startswith("damaged")


def wait_for(process: subprocess.Popen[bytes], text: str) -> None:
    assert process.stdout is not None
    seen = b""
    while text.encode() not in seen:
        piece = os.read(process.stdout.fileno(), 1000)
        assert piece, seen
        seen += piece


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_answer_and_keeps_it(cli: OssCli, number: signal.Signals) -> None:
    process = cli.start("run", "--model", "fake:one", "--backend", "slow", "вопрос")
    assert process.stdin is not None
    process.stdin.close()
    wait_for(process, "слово слово")
    process.send_signal(number)
    assert process.wait() == 128 + number
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    [turn] = cli.run("log", "show", "--json").ok().json()["turns"]
    assert turn["state"] == "cancelled"
    assert turn["messages"][1]["content"].startswith("слово слово")
    process.stdout.close()  # type: ignore[union-attr]
    process.stderr.close()


def test_killed_process_keeps_the_question(cli: OssCli) -> None:
    process = cli.start("run", "--model", "fake:one", "--backend", "slow", "вопрос")
    with process:
        assert process.stdin is not None
        process.stdin.close()
        wait_for(process, "слово")
        process.kill()
    [turn] = cli.run("log", "show", "--json").ok().json()["turns"]
    assert turn["state"] == "running"
    assert turn["messages"][0]["content"] == "вопрос"
    assert "unfinished" in cli.run("log", "show").ok().stdout
    cli.run("run", *FAKE, "-c", "дальше").ok()


def test_reader_that_leaves(cli: OssCli) -> None:
    process = cli.start("run", "--model", "fake:one", "--backend", "slow", "q")
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.close()
        wait_for(process, "слово")
        process.stdout.close()
        assert process.wait() == 141
        said = process.stderr.read()
        assert b"rror" not in said
    [turn] = cli.run("log", "show", "--json").ok().json()["turns"]
    assert turn["state"] == "cancelled"


def test_two_at_once(cli: OssCli) -> None:
    running = [cli.start("run", *FAKE, f"вопрос {n}") for n in range(4)]
    for process in running:
        process.communicate()
        assert process.returncode == 0
    assert len(cli.run("log", "list", "--json").ok().json()) == 4


@pytest.mark.real
def test_starter_answers(oss_cli: OssCli, starter_gguf: Path) -> None:
    out = (
        oss_cli.run(
            "run", "-m", starter_gguf, "-t", "0", "--json", "What is the capital of France?"
        )
        .ok()
        .json()
    )
    assert "Paris" in out["answer"]
    assert out["backend"] == "llamacpp"
    assert out["usage"]["prompt_tokens"] > 10
    long = oss_cli.run("run", "-m", starter_gguf, "--set", "model.context=512", "слово " * 600)
    assert "the context 512" in long.failed(7).stderr
