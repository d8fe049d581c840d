"""The chat and the streamed Markdown, in a real terminal (a pseudo-terminal and its screen)."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pexpect
import pyte
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from oss.testing.program import OssCli, OssHome

WIDTH, HEIGHT = 80, 24
FAKE = ("--model", "fake:one", "--backend", "fake")

SLOW = """
from oss.contracts.descriptors import Descriptor
from oss.contracts.messages import ToolCall
from oss.hookspecs import hookimpl
from oss.testing.fakes import FakeAnswer, FakeBackend, FakeTool

class Slow(FakeBackend):
    name = "slow"
    def __init__(self):
        super().__init__(FakeAnswer("слово " * 500, delay_s=0.05))

class Calling(FakeBackend):
    name = "calling"
    def __init__(self):
        call = FakeAnswer(tool_calls=(ToolCall("1", "risky", '{"путь": "а.txt"}'),))
        super().__init__(call, "итог 1", call, "итог 2")

@hookimpl
def oss_backends():
    tools = frozenset({"tools"})
    return [
        Descriptor("slow", "", f"{__name__}:Slow"),
        Descriptor("calling", "", f"{__name__}:Calling", capabilities=tools),
    ]

@hookimpl
def oss_tools():
    return [Descriptor("risky", "", f"{__name__}:risky")]

def risky():
    return FakeTool("risky", "сделано", safe=False)
"""


class Terminal:
    """A program in a terminal, and what a person sees of it."""

    def __init__(self, cli: OssCli, *args: str) -> None:
        self.screen = pyte.HistoryScreen(WIDTH, HEIGHT, history=1000)
        self.stream = pyte.Stream(self.screen)
        env = cli.environment({"NO_COLOR": None, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"})
        self.child = pexpect.spawn(
            str(cli.program),
            list(args),
            env=env,
            cwd=str(cli.home.cwd),
            dimensions=(HEIGHT, WIDTH),
            encoding="utf-8",
            timeout=60,
        )

    def read(self) -> bool:
        try:
            text = self.child.read_nonblocking(10_000, timeout=0.1)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.stream.feed(text)
        if "\x1b[6n" in text:  # the program asks where the cursor is
            cursor = self.screen.cursor
            self.child.send(f"\x1b[{cursor.y + 1};{cursor.x + 1}R")
        return True

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def until(self, seen: Callable[[str], bool] | str) -> str:
        wanted = seen if callable(seen) else lambda text: seen in text
        deadline = time.monotonic() + 60
        while not wanted(self.text):
            assert self.read() or wanted(self.text), self.text
            assert time.monotonic() < deadline, self.text
        return self.text

    def end(self) -> int:
        while self.read():
            pass
        self.child.close()
        assert self.child.exitstatus is not None, self.text
        return int(self.child.exitstatus)


@pytest.fixture
def terminal(oss_cli: OssCli) -> Iterator[Callable[..., Terminal]]:
    oss_cli.use_fakes()
    oss_cli.add_plugin("slow", SLOW)
    opened: list[Terminal] = []

    def start(*args: str) -> Terminal:
        opened.append(Terminal(oss_cli, *args))
        return opened[-1]

    yield start
    for one in opened:
        one.child.close(force=True)


def answers(*texts: str) -> tuple[str, ...]:
    return (*FAKE, "--set", f"backend.fake.answers={json.dumps(texts, ensure_ascii=False)}")


def test_cyrillic_question_and_answer(terminal: Any, oss_cli: OssCli) -> None:
    t = terminal("run", *answers("Ответ: **жирный** ёж."))
    t.until("base>")
    t.child.send("Где ёж?\r")
    t.until("Ответ: жирный ёж.")
    t.until(lambda text: text.count("base>") == 2)
    t.child.send("\x04")
    assert t.end() == 0
    [turn] = oss_cli.run("log", "show", "--json").ok().json()["turns"]
    assert [m["content"] for m in turn["messages"]] == ["Где ёж?", "Ответ: **жирный** ёж."]


def test_ctrl_c_stops_the_answer_and_keeps_it(terminal: Any, oss_cli: OssCli) -> None:
    t = terminal("run", "--model", "fake:one", "--backend", "slow")
    t.until("base>")
    t.child.send("вопрос\r")
    t.until("слово слово слово")
    t.child.sendintr()
    t.until("stopped; what came is kept")
    t.child.send("ещё\r")
    t.until("ещё\n")
    t.child.send("/exit\r")
    assert t.end() == 0
    first, second = oss_cli.run("log", "show", "--json").ok().json()["turns"]
    assert first["state"] == "cancelled"
    assert first["messages"][1]["content"].startswith("слово слово слово")
    assert second["messages"][1]["content"] == "ещё"


def test_multi_line_input(terminal: Any, oss_cli: OssCli) -> None:
    t = terminal("run", *FAKE)
    t.until("base>")
    t.child.send("первая\x1b\rвторая\r")
    t.until(lambda text: text.count("base>") == 2)
    t.child.send("\x04")
    t.end()
    [turn] = oss_cli.run("log", "show", "--json").ok().json()["turns"]
    assert turn["messages"][0]["content"] == "первая\nвторая"


def test_commands(terminal: Any, oss_cli: OssCli, oss_home: OssHome) -> None:
    (oss_home.cwd / "файл.txt").write_text("содержимое", encoding="utf-8")
    t = terminal("run", *answers("1", "2", "3", "4"))
    t.until("base>")

    def line(text: str, *seen: str) -> None:
        t.child.send("\x0c")  # an empty screen, so that nothing old is taken for new
        t.until(lambda screen: screen.strip().startswith("base"))
        t.child.send(text + "\r")
        t.until(text)
        for part in seen:
            t.until(part)
        t.until(
            lambda screen: (
                screen.rstrip().splitlines()[-1].startswith("base")
                and screen.rstrip().endswith(">")
            )
        )

    line("/help", "/retry", "/exit")
    line("/hlep", "did you mean /help?")
    line("/file нет.txt", "cannot read нет.txt")
    line("/file файл.txt", "with the next prompt")
    line("что в нём?")
    line("/undo", "the last exchange is gone")
    line("/set sampling.seed=5", "fake:one")
    line("/set sampling.sed=5", "sed")
    line("/system Ты кот.", "fake:one")
    line("/system", "Ты кот.")
    line("ещё раз")
    line("/retry")
    line("/save разговор.md", "written")
    line("/clear", "a new conversation begins")
    line("новый")
    t.child.send("/exit\r")
    assert t.end() == 0
    saved = (oss_home.cwd / "разговор.md").read_text(encoding="utf-8")
    assert saved.startswith("## User\n\nещё раз")
    assert saved.count("## User") == 1
    listed = oss_cli.run("log", "list", "--json").ok().json()
    assert [c["turn_count"] for c in listed] == [1, 1]


def test_consent_at_a_terminal(terminal: Any, oss_cli: OssCli) -> None:
    t = terminal(
        "run", "--model", "fake:one", "--backend", "calling", "--set", 'tools.allow=["risky"]'
    )
    t.until("base>")
    t.child.send("раз\r")
    t.until('run risky {"путь": "а.txt"} ? [y]es, [a]lways, [n]o:')
    t.child.send("n\r")
    t.until("итог 1")
    t.until(lambda text: text.rstrip().endswith("base>"))
    t.child.send("два\r")
    t.until(lambda text: text.count("[n]o:") == 2)
    t.child.send("y\r")
    t.until("итог 2")
    t.child.send("\x04")
    assert t.end() == 0
    refused, allowed = oss_cli.run("log", "show", "--json").ok().json()["turns"]
    assert "the user refused" in refused["messages"][2]["content"]
    assert "сделано" in allowed["messages"][2]["content"]


MARKDOWN = """# Заголовок

Абзац с **жирным** и `кодом`, который много длиннее одной строки терминала и потому \
переносится им самим, а не программой, и *кончается* здесь.

- пункт один
- пункт `два`

```python
def f(x):
    return "# not a heading"
```

| a | b |
|---|---|
Конец."""


def test_markdown_on_a_terminal(terminal: Any) -> None:
    t = terminal("run", "-q", *answers(MARKDOWN), "q")
    assert t.end() == 0
    lines = t.text.splitlines()
    assert lines[0] == "Заголовок"
    joined = "".join(line.ljust(WIDTH) for line in lines)
    assert "Абзац с жирным и кодом, который" in joined
    assert "а не программой, и кончается здесь." in joined
    assert "• пункт два" in t.text
    assert '    return "# not a heading"' in t.text
    for once in ("Заголовок", "пункт один", "def f(x):", "Конец.", "| a | b |"):
        assert t.text.count(once) == 1, t.text
    row = lines.index("Заголовок")
    assert t.screen.buffer[row][0].bold


def test_long_answer_stands_there_once(terminal: Any) -> None:
    text = "\n".join(f"{n}. строка **номер {n}** " + "слово " * (n % 40) for n in range(150))
    t = terminal("run", "-q", *answers(text), "q")
    assert t.end() == 0
    shown = [
        "".join(row[x].data for x in range(WIDTH)).rstrip() for row in t.screen.history.top
    ] + t.text.splitlines()
    numbers = [line.split(".")[0] for line in shown if ". строка номер" in line]
    assert numbers == [str(n) for n in range(150)]


def test_control_characters_do_not_act(terminal: Any) -> None:
    t = terminal("run", "-q", *answers("до\x1b[2J\x1b[31mпосле\x07"), "q")
    assert t.end() == 0
    assert "до[2J[31mпосле" in t.text


def test_without_colour_it_is_the_text_itself(oss_cli: OssCli) -> None:
    oss_cli.use_fakes()
    child = pexpect.spawn(
        str(oss_cli.program),
        ["run", "-q", *answers("**a** b"), "q"],
        env=oss_cli.environment({"TERM": "xterm"}),
        encoding="utf-8",
        timeout=60,
    )
    child.expect(pexpect.EOF)
    assert child.before.strip() == "**a** b"
    child.close()


@pytest.mark.real
def test_starter_in_a_terminal(terminal: Any, oss_cli: OssCli, starter_gguf: Path) -> None:
    t = terminal("run", "-m", str(starter_gguf), "-t", "0")
    t.until("base>")
    t.child.send("What is the capital of France?\r")
    t.until("Paris")
    t.until(lambda text: text.rstrip().endswith("base>"))
    t.child.send("Write a very long story about the sea.\r")

    def begun(text: str) -> bool:
        answer = text.partition("about the sea.")[2]
        return len(answer.split()) > 15 and "waiting" not in answer

    t.until(begun)
    t.child.sendintr()
    t.until("stopped; what came is kept")
    t.child.send("\x04")
    assert t.end() == 0
    first, second = oss_cli.run("log", "show", "--json").ok().json()["turns"]
    assert first["finish_reason"] == "stop"
    assert second["state"] == "cancelled"
    assert len(second["messages"][1]["content"]) > 20
