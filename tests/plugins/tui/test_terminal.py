"""The real program over the starter model, in a real (pseudo-) terminal."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pexpect
import pyte
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from oss.testing.program import OssCli


class Terminal:
    def __init__(self, cli: OssCli, *args: str) -> None:
        self.screen = pyte.Screen(110, 32)
        self.stream = pyte.Stream(self.screen)
        self.child = pexpect.spawn(
            str(cli.program),
            ["tui", *args],
            env=cli.environment({"NO_COLOR": None, "TERM": "xterm-256color"}),
            cwd=str(cli.home.cwd),
            dimensions=(32, 110),
            encoding="utf-8",
        )

    def until(self, condition: str | Callable[[str], bool], seconds: float = 90) -> str:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                # pyte does not know the private modes with '>' and '$'
                text = self.child.read_nonblocking(65536, timeout=0.1)
                self.stream.feed(text.replace("\x1b[>", "\x1b[?").replace("$p", "h"))
            except pexpect.TIMEOUT:
                pass
            except pexpect.EOF:
                if condition == "":
                    return ""
                break
            shown = "\n".join(self.screen.display)
            met = condition in shown if isinstance(condition, str) else condition(shown)
            if condition and met:
                return shown
        raise AssertionError("\n".join(self.screen.display))


@pytest.fixture
def terminal(oss_cli: OssCli) -> Iterator[Any]:
    opened: list[Terminal] = []

    def start(*args: str) -> Terminal:
        opened.append(Terminal(oss_cli, *args))
        return opened[-1]

    yield start
    for one in opened:
        one.child.close(force=True)


@pytest.mark.real
def test_a_chat_with_the_starter(terminal: Any, oss_cli: OssCli, starter_gguf: Path) -> None:
    t = terminal("-m", str(starter_gguf), "--set", "sampling.temperature=0")
    t.until("Ask something")
    t.child.send("What is the capital of France? Столица?\r")
    t.until("tokens/s")
    t.child.send("\x11")  # ctrl+q
    t.until("")
    t.child.close()
    assert t.child.exitstatus == 0
    [turn] = oss_cli.run("log", "show", "--json").ok().json()["turns"]
    assert turn["state"] == "done"
    assert turn["messages"][0]["content"] == "What is the capital of France? Столица?"
    assert turn["messages"][1]["content"]


@pytest.mark.real
def test_a_terminal_that_is_closed_keeps_what_came(
    terminal: Any, oss_cli: OssCli, starter_gguf: Path
) -> None:
    t = terminal("-m", str(starter_gguf), "--set", "sampling.max_tokens=3000")
    t.until("Ask something")
    t.child.send("Write a very long story about the sea.\r")
    question = "about the sea."
    t.until(lambda text: question in text and len(text.split(question)[-1].split()) > 60)
    os.kill(t.child.pid, signal.SIGHUP)
    t.until("")
    [turn] = oss_cli.run("log", "show", "--json").ok().json()["turns"]
    assert turn["state"] == "cancelled"
    assert len(turn["messages"][1]["content"].split()) > 20


def test_a_terminal_that_is_gone(terminal: Any, oss_cli: OssCli) -> None:
    oss_cli.use_fakes()
    t = terminal("-m", "fake:one", "--backend", "fake")
    t.until("Ask something")
    t.child.send("привет\r")
    t.until("tokens/s")
    t.child.ptyproc.fileobj.close()
    t.child.closed = t.child.ptyproc.closed = True
    end = time.monotonic() + 60
    while t.child.isalive():
        assert time.monotonic() < end, "it never ended"
        time.sleep(0.05)
    [turn] = oss_cli.run("log", "show", "--json").ok().json()["turns"]
    assert turn["state"] == "done"
