"""Mixed load on `oss serve` for a long time: do memory, threads and open files stay?

``python tests/benchmarks/bench_soak.py [--minutes N] [--clients N] [--pause SECONDS] [--threads N]
[--log FILE]``. Clients send answered, cancelled, malformed, huge and idle requests to several
profiles; one of these has an engine of its own, which is loaded and unloaded all the time. The
process is looked at every ten seconds; medians of the second sixth of the time and of the last one
are compared, because caches fill in the first; that of prompts is kept small, so that it does.
Linux alone (``/proc``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oss.testing.program import OssCli, OssHome
from oss.testing.starter import starter_gguf

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

EVERY_S = 10.0
PERSONA = "You are a patient clerk of a large library, and you answer in full sentences. " * 33
PROFILES = ("clerk", "pirate", "alone")
TOPICS = ("rivers", "bread", "ships", "стекло", "карты", "wool", "часы", "salt", "paper", "stars")
KINDS = {
    "answered": 5,
    "streamed": 6,
    "several": 1,
    "responses": 2,
    "tools": 1,
    "long": 1,
    "leaves": 4,
    "leaves at once": 2,
    "idle": 1,
    "malformed": 2,
    "wrong": 2,
    "huge": 1,
    "too long": 1,
    "models": 1,
}
"""Kind of request to how often it comes."""


@contextmanager
def served(model: Path, threads: int) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Port and process of the server."""
    with tempfile.TemporaryDirectory() as folder:
        home = OssHome(Path(folder) / "home", Path(folder) / "work")
        home.path.mkdir()
        home.cwd.mkdir()
        for name, system, context in (
            ("clerk", PERSONA, 4096),
            ("pirate", "Ты пират. Отвечай коротко.", 4096),
            ("alone", "You are brief.", 1024),
        ):
            home.write(
                f"config/profiles/{name}.toml",
                f"[model]\nname = {json.dumps(str(model))}\ncontext = {context}\n"
                f"[persona]\nsystem = {json.dumps(system)}\n"
                f"[backend.llamacpp]\nthreads = {threads}\nprompt_cache = 64\n",
            )
        flags = [flag for name in PROFILES for flag in ("-p", name)]
        limits = ("--parallel", "4", "--queue", "2", "--keep-alive", "20", "--max-tokens", "96")
        process = OssCli(home).start("serve", *flags, "--port", "0", *limits)
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(rb"http://127\.0\.0\.1:(\d+)", line):
                break
        else:
            raise SystemExit("oss serve did not start")
        try:
            yield int(found.group(1)), process
        finally:
            process.terminate()
            process.communicate(timeout=120)


def request(kind: str) -> tuple[str, bytes]:
    """Path and body of a request."""
    profile = random.choices(PROFILES, (6, 6, 1))[0]
    said = f"Write about {random.choice(TOPICS)} {random.random()}."
    body: dict[str, Any] = {
        "model": profile,
        "messages": [{"role": "user", "content": said}],
        "max_tokens": random.randrange(1, 32),
        "stream": kind in ("streamed", "leaves", "leaves at once"),
    }
    path = "/v1/chat/completions"
    if kind == "several":
        body["n"] = 2
    elif kind == "responses":
        path = "/v1/responses"
        body = {"model": profile, "input": said, "max_output_tokens": 24, "stream": True}
    elif kind == "tools":
        spec = {"name": "rain", "parameters": {"type": "object", "properties": {}}}
        body["tools"] = [{"type": "function", "function": spec}]
    elif kind == "long":
        body["messages"][0]["content"] = said + " Слово за слово." * 40
    elif kind == "huge":
        body["messages"][0]["content"] = "a" * 5 * 1024 * 1024
    elif kind == "too long":
        body["messages"][0]["content"] = "я " * 50000
    elif kind == "wrong":
        body[random.choice(("n", "max_tokens", "messages", "model"))] = random.choice(
            (-1, "x", [], {}, None, 10**30)
        )
    raw = json.dumps(body).encode()
    if kind == "malformed":
        raw = raw[: random.randrange(len(raw))] + random.choice((b"", b"\xff\xfe", b"}}"))
    return path, raw


async def send(port: int, kind: str) -> str:
    """One request of a kind; its status, or how it ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if kind == "idle":
            writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n")
            await asyncio.sleep(random.uniform(1, 20))
            return "left"
        path, raw = request(kind)
        method = b"POST %s" % path.encode()
        if kind == "models":
            method, raw = b"GET /v1/models", b""
        writer.write(
            b"%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
            % (method, len(raw), raw)
        )
        if kind == "leaves at once":
            await writer.drain()
            await asyncio.sleep(random.uniform(0, 0.3))
            return "left"
        if kind == "leaves":
            await reader.read(random.randrange(1, 2000))
            return "left"
        answer = await reader.read()
        return answer[9:12].decode() or "closed"
    except (ConnectionError, BrokenPipeError):
        return "closed"
    finally:
        writer.close()


async def client(port: int, until: float, pause: float, seen: Counter[str]) -> None:
    """Requests of all kinds until then, with pauses."""
    while time.monotonic() < until:
        kind = random.choices(list(KINDS), list(KINDS.values()))[0]
        seen[f"{kind}: {await send(port, kind)}"] += 1
        await asyncio.sleep(random.expovariate(1 / pause) if pause else 0)


def state(pid: int) -> dict[str, int]:
    """Resident KiB, threads and open files (sockets are files) of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    values = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    files = list(Path(f"/proc/{pid}/fd").iterdir())
    return {
        "rss": int(values["VmRSS"].split()[0]),
        "anonymous": int(values["RssAnon"].split()[0]),
        "threads": int(values["Threads"]),
        "files": len(files),
    }


async def watch(pid: int, until: float, log: Path | None) -> list[dict[str, int]]:
    """What the process holds, every ten seconds."""
    found = []
    while time.monotonic() < until:
        await asyncio.sleep(EVERY_S)
        found.append(state(pid))
        if log is not None:
            with log.open("a") as lines:
                lines.write(json.dumps(found[-1]) + "\n")
    return found


def median(states: list[dict[str, int]]) -> dict[str, float]:
    return {key: statistics.median(each[key] for each in states) for key in states[0]}


async def soak(given: argparse.Namespace) -> dict[str, Any]:
    seen: Counter[str] = Counter()
    with served(given.model or starter_gguf(), given.threads) as (port, process):
        until = time.monotonic() + given.minutes * 60
        clients = [client(port, until, given.pause, seen) for _ in range(given.clients)]
        states, *_ = await asyncio.gather(watch(process.pid, until, given.log), *clients)
        await asyncio.sleep(min(60, given.minutes * 20) + 20)  # engines have left by then
        rest = state(process.pid)
        part = max(1, len(states) // 6)
        before, after = median(states[part : 2 * part]), median(states[-part:])
        bad = {kind: count for kind, count in seen.items() if ": 5" in kind}
        return {
            "minutes": given.minutes,
            "requests": sum(seen.values()),
            "kinds": dict(sorted(seen.items())),
            "status 5xx": bad,
            "before": before,
            "after": after,
            "at rest": rest,
            "memory": round(after["rss"] / before["rss"], 4),
        }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--model", type=Path, help="a GGUF file; the starter's if left out")
    arguments.add_argument("--minutes", type=float, default=30.0)
    arguments.add_argument("--clients", type=int, default=6)
    arguments.add_argument("--pause", type=float, default=0.5, help="mean seconds between requests")
    arguments.add_argument("--threads", type=int, default=1, help="of the engine")
    arguments.add_argument("--log", type=Path, help="append what was seen every ten seconds")
    found = asyncio.run(soak(arguments.parse_args()))
    json.dump(found, sys.stdout, indent=2, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
