"""``oss tui`` beside ``oss run`` and beside Textual's smallest program, in a pseudo-terminal.

streaming-scripted   tokens/s as a person sees them, over those of `oss run --no-log` on a
                     terminal: 2,000 tokens of Markdown from an engine thread of fixed speed
typing               until a key is seen that is typed while that streams, over the same at rest
streaming-starter    tokens/s of the starter model in both, as the engine counts them
start-up             until a key is seen that was typed as soon as the prompt was there, over the
                     first words of a Textual program that says hello
memory               resident memory after 200 turns over that after 50

Both programs run from compiled files, as an installed package does.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
from common import Ratio, interleaved, parser, ratio, report

from oss.testing.program import OssCli, OssHome

if TYPE_CHECKING:
    from collections.abc import Callable

HELLO = """
from textual.app import App
from textual.widgets import Static

class Hello(App):
    def compose(self):
        yield Static("hello-world")

Hello().run()
"""

ENGINE = '''
import time
from contextlib import asynccontextmanager
from oss.contracts.backend import EngineInfo
from oss.contracts.chat import Delta, Timings, Usage
from oss.contracts.descriptors import Descriptor
from oss.engines.bridge import ThreadStream
from oss.hookspecs import hookimpl
from oss.testing.fakes import FakeBackend, FakeEngine, words

PARAGRAPH = """
A *mutex* lets **one thread** at a time into a section; the others wait until `release()` is
called. It is held briefly, and several are always taken in the same order.

- first the short one, which many need
- then the long one

```python
with lock:
    counter = counter + 1  # nobody else is here
```
"""
TEXT = "ZZSTART " + PARAGRAPH * 60
TOKENS = [*words(TEXT)[:1998], " and", " ZZEND"]
RATE = 250.0

class Engine(FakeEngine):
    async def chat(self, request):
        def produce(emit):
            begun = time.perf_counter()
            for number, token in enumerate(TOKENS):
                wait = begun + number / RATE - time.perf_counter()
                if wait > 0:
                    time.sleep(wait)
                if emit(token):
                    return
        stream = ThreadStream(produce)
        async for token in stream.read():
            yield Delta(content=token)
        yield Delta(finish_reason="stop", usage=Usage(10, len(TOKENS)), timings=Timings())

class Backend(FakeBackend):
    name = "steady"
    @asynccontextmanager
    async def open(self, model, adapters, options):
        info = EngineInfo("steady", model.name, 8192, frozenset())
        yield Engine(info, [], adapters)

@hookimpl
def oss_backends():
    return [Descriptor("steady", "250 tokens a second", f"{__name__}:Backend")]
'''

STEADY = ("--model", "fake:one", "--backend", "steady")
LETTERS = "жщэюъёфцчшыгдзлбпйхЖЩЭЮЪЁФЦЧШЫ"  # in none of the texts
PROMPT = "sk something"  # the cursor stands on its first letter


class Screen:
    """A program in a terminal; what it writes is looked through for words, not drawn."""

    def __init__(self, cli: OssCli, command: str, *args: str) -> None:
        env = cli.environment(
            {
                "NO_COLOR": None,
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
                "PYTHONDONTWRITEBYTECODE": None,
                "PYTHONPYCACHEPREFIX": str(cli.home.cwd / "pycache"),
            }
        )
        self.begun = time.perf_counter()
        self.child = pexpect.spawn(
            command,
            list(args),
            env=env,
            cwd=str(cli.home.cwd),
            dimensions=(40, 120),
            encoding="utf-8",
            timeout=60,
        )
        self._seen = ""

    def until(self, pattern: str, seconds: float = 300) -> float:
        """The time at which it is seen, from the start of the program."""
        wanted = re.compile(pattern)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            try:
                new = self.child.read_nonblocking(65536, timeout=0.05)
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                break
            # Little work: the program that is measured has the same processors.
            self._seen = self._seen[-200:] + new
            if found := wanted.search(self._seen):
                self.found = found
                self._seen = self._seen[found.end() :]
                return time.perf_counter() - self.begun
        raise RuntimeError(f"never saw {pattern!r}; last: {self._seen[-2000:]!r}")

    def end(self) -> None:
        """Close it."""
        self.child.close(force=True)

    def echo(self, letter: str, or_else: str = "$^") -> float | None:
        """Seconds until a letter that is typed now is seen; ``None`` if the other is seen first."""
        begun = time.perf_counter()
        self.child.send(letter)
        self.until(f"{letter}|{or_else}")
        return time.perf_counter() - begun if self.found[0] == letter else None


def streaming(cli: OssCli, typed: dict[str, list[float]]) -> dict[str, Callable[[], float]]:
    """Tokens per second, from the first word seen to the last.

    :param typed: gets the seconds until typed letters were seen.
    """

    def run() -> float:
        screen = Screen(cli, str(cli.program), "run", "--no-log", *STEADY, "go")
        first = screen.until("ZZSTART")
        took = screen.until("ZZEND") - first
        screen.end()
        return 2000 / took

    def tui() -> float:
        screen = Screen(cli, str(cli.program), "tui", "--no-log", *STEADY)
        screen.until(PROMPT)
        screen.child.send("go\r")
        first = screen.until("ZZSTART")
        took = screen.until("ZZEND") - first
        screen.end()
        return 2000 / took

    def typing() -> float:
        screen = Screen(cli, str(cli.program), "tui", "--no-log", *STEADY)
        screen.until(PROMPT)
        for letter in LETTERS[:8]:
            time.sleep(0.3)
            typed["rest"].append(screen.echo(letter) or 0.0)
        screen.child.send("\x15go\r")  # ctrl+u
        screen.until("ZZSTART")
        for letter in LETTERS[8:]:
            with suppress(RuntimeError):
                screen.until("ZZEND", 0.3)
                break
            if (took := screen.echo(letter, "ZZEND")) is None:
                break
            typed["streaming"].append(took)
        screen.end()
        return 0.0

    return {"run": run, "tui": tui, "typing": typing}


def starter(cli: OssCli, gguf: Path) -> dict[str, Callable[[], float]]:
    """Tokens per second of the engine, as each program says."""
    flags = ("-m", str(gguf), "--no-log", "--set", "sampling.temperature=0")
    length = ("--set", "sampling.max_tokens=2000", "--set", "model.context=4096")
    prompt = "Write a very long story about the sea, in twenty chapters."

    def run() -> float:
        screen = Screen(cli, str(cli.program), "run", "--stats", *flags, *length, prompt)
        screen.until(r"([\d.]+) tokens/s")
        screen.end()
        return float(screen.found[1])

    def tui() -> float:
        screen = Screen(cli, str(cli.program), "tui", *flags, *length)
        screen.until(PROMPT)
        screen.child.send(prompt + "\r")
        screen.until(r"\d+ tokens · ([\d.]+) tokens/s")
        screen.end()
        return float(screen.found[1])

    return {"run": run, "tui": tui}


def start_up(cli: OssCli) -> dict[str, Callable[[], float]]:
    """Seconds until something can be read, and for oss until something can be written."""
    hello = cli.home.write("hello.py", HELLO)

    def smallest() -> float:
        screen = Screen(cli, sys.executable, str(hello))
        took = screen.until("hello-world")
        screen.end()
        return took

    def tui() -> float:
        screen = Screen(cli, str(cli.program), "tui", *STEADY)
        screen.until(PROMPT)
        screen.child.send(LETTERS[0])
        took = screen.until(LETTERS[0])
        screen.end()
        return took

    return {"hello": smallest, "tui": tui}


def resident() -> float:
    """Megabytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def memory(cli: OssCli) -> tuple[float, float]:
    """Megabytes after 50 and after 200 turns, the application in this process."""
    os.environ["OSS_HOME"] = str(cli.home.path)
    sys.path.append(str(cli.home.path / "site-packages"))
    from oss.plugins.discovery import EntryPoint
    from oss.plugins.manager import Plugins
    from oss.turn.choices import Choices
    from oss_plugins.tui.app import OssApp, Start
    from oss_plugins.tui.prompt import Prompt
    from oss_plugins.tui.settings import Settings

    plugins = Plugins([EntryPoint("fakes", "oss.testing.plugin", "oss", "1")])
    choices = Choices(model="fake:one", backend="fake")
    app = OssApp(Start(choices, plugins=plugins), Settings())
    sizes = {}
    text = "A paragraph with **bold** words.\n\n```python\nx = 1\n```\n\n" + "word " * 150
    async with app.run_test(size=(120, 40)) as pilot:
        screen = app.screen
        for turn in range(1, 201):
            screen.query_one(Prompt).set_text(text)
            await pilot.press("enter")
            while screen.busy:  # type: ignore[attr-defined]
                await pilot.pause(0.01)
            await pilot.pause()
            if turn in (50, 200):
                sizes[turn] = resident()
        await screen.close()  # type: ignore[attr-defined]
    return sizes[50], sizes[200]


def main() -> None:
    arguments = parser(__doc__ or "", rounds=5)
    arguments.add_argument("--only", help="one of the figures")
    options = arguments.parse_args()
    figures: list[Ratio] = []

    def wanted(name: str) -> bool:
        return options.only in (None, name)

    with tempfile.TemporaryDirectory() as folder:
        home = OssHome(Path(folder) / "home", Path(folder) / "work")
        home.path.mkdir()
        home.cwd.mkdir()
        cli = OssCli(home)
        cli.use_fakes()
        cli.add_plugin("steady", ENGINE)
        cli.run("--help").ok()
        if wanted("start-up"):
            found = interleaved(start_up(cli), options.rounds * 3)
            figures.append(ratio("start-up", found, "tui", "hello", limit="<= 1.5"))
        if wanted("streaming-scripted"):
            typed: dict[str, list[float]] = {"rest": [], "streaming": []}
            found = interleaved(streaming(cli, typed), options.rounds)
            limit, unit = ">= 0.95", "tokens/s"
            figures.append(ratio("streaming-scripted", found, "tui", "run", unit=unit, limit=limit))
            figures.append(ratio("typing", typed, "streaming", "rest"))
            slowest = max(typed["streaming"])
            figures.append(Ratio("typing-slowest", slowest, max(typed["rest"]), "s", 1))
        if wanted("streaming-starter"):
            from oss.testing.starter import starter_gguf

            found = interleaved(starter(cli, starter_gguf()), options.rounds, warm_up=0)
            figures.append(
                ratio("streaming-starter", found, "tui", "run", unit="tokens/s", limit=">= 0.95")
            )
        if wanted("memory"):
            early, late = asyncio.run(memory(cli))
            figures.append(Ratio("memory", late, early, "MB", 1, "flat: <= 1.1"))
    report(figures, options.json)


if __name__ == "__main__":
    main()
