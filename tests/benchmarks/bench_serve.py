"""`oss serve` against the raw engine's own HTTP server: 8 clients, 96 tokens each, one persona.

``python tests/benchmarks/bench_serve.py [--rounds N] [--model FILE] [--soak SECONDS]`` prints
ratios, both sides of each measured in turn. ``--soak`` sends mixed load (answered, cancelled,
malformed, huge, idle) for so long and prints how memory, threads and open files went.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import Ratio, parser, report

from oss.testing.program import OssCli, OssHome
from oss.testing.starter import starter_gguf

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = 8
TOKENS = 96
THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
PERSONA = "You are a patient clerk of a large library, and you answer in full sentences. " * 33
TOPICS = ("rivers", "bread", "ships", "glass", "maps", "wool", "clocks", "salt", "paper", "stars")


def body(model: str, topic: str, *, persona: bool) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"Write about {topic} {random.random()}."}]
    if persona:
        messages.insert(0, {"role": "system", "content": PERSONA})
    return {
        "model": model,
        "messages": messages,
        "max_tokens": TOKENS,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 1.0,
        "ignore_eos": True,
    }


async def answer(port: int, key: str, asked: dict[str, Any]) -> tuple[float, int, int]:
    """Seconds to the first token; tokens of the answer; tokens of the prompt not cached."""
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    raw = json.dumps(asked).encode()
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n"
        % (key.encode(), len(raw))
        + raw
    )
    first, usage = 0.0, {}
    while line := await reader.readline():
        if not line.startswith(b"data: {"):
            continue
        chunk = json.loads(line[6:])
        assert "error" not in chunk, chunk
        if chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
            first = first or time.perf_counter() - begun
        usage = chunk.get("usage") or usage
    writer.close()
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return first, usage["completion_tokens"], usage["prompt_tokens"] - cached


async def load(
    port: int, key: str, model: str, *, persona: bool, at_once: bool
) -> dict[str, float]:
    """Tokens per second of 8 requests; the slowest first token over the median."""
    asks = [body(model, topic, persona=persona) for topic in TOPICS[:CLIENTS]]
    begun = time.perf_counter()
    if at_once:
        found = await asyncio.gather(*(answer(port, key, asked) for asked in asks))
    else:
        found = [await answer(port, key, asked) for asked in asks]
    took = time.perf_counter() - begun
    firsts = [first for first, _, _ in found]
    return {
        "rate": sum(tokens for _, tokens, _ in found) / took,
        "worst": max(firsts),
        "median": statistics.median(firsts),
    }


@contextmanager
def served(model: Path, *flags: str) -> Iterator[tuple[int, int]]:
    """Port and process id of an `oss serve`."""
    with tempfile.TemporaryDirectory() as folder:
        home = OssHome(Path(folder) / "home", Path(folder) / "work")
        home.path.mkdir()
        home.cwd.mkdir()
        profile = (
            f"[model]\nname = {json.dumps(str(model))}\ncontext = 8192\n"
            f"[persona]\nsystem = {json.dumps(PERSONA)}\n[backend.llamacpp]\nthreads = {THREADS}\n"
        )
        home.write("config/profiles/tiny.toml", profile)
        process = OssCli(home).start("serve", "-p", "tiny", "--port", "0", *flags)
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(rb"http://127\.0\.0\.1:(\d+)", line):
                break
        else:
            raise SystemExit("oss serve did not start")
        try:
            yield int(found.group(1)), process.pid
        finally:
            process.terminate()
            process.communicate(timeout=60)


RAW = """
import sys, time, xllamacpp
p = xllamacpp.CommonParams()
p.model.path, p.n_ctx, p.n_parallel, p.kv_unified, p.verbosity = sys.argv[1], 8192, 8, True, 0
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = int(sys.argv[2])
p.warmup, p.api_keys, p.hostnames, p.n_threads_http = False, ["raw"], ["127.0.0.1"], 10
server = xllamacpp.Server(p)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@contextmanager
def raw_server(model: Path) -> Iterator[int]:
    """Port of the raw engine's own server, with the same settings."""
    process = subprocess.Popen(
        [sys.executable, "-c", RAW, str(model), str(THREADS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline().decode().strip().rpartition(":")[2])
    finally:
        process.kill()
        process.communicate()


async def measure(model: Path, rounds: int) -> list[Ratio]:
    found: dict[str, list[float]] = {name: [] for name in ("oss", "raw", "row", "worst", "median")}
    with served(model) as (port, _), raw_server(model) as raw:
        cold = await answer(port, "x", body("tiny", "rain", persona=False))
        warm = await answer(port, "x", body("tiny", "rain", persona=False))
        await answer(raw, "raw", body("m", "rain", persona=True))
        for turn in range(-1, rounds):  # the first one fills the slots, and is not kept
            ours = await load(port, "x", "tiny", persona=False, at_once=True)
            theirs = await load(raw, "raw", "m", persona=True, at_once=True)
            row = await load(port, "x", "tiny", persona=False, at_once=False)
            if turn < 0:
                continue
            for name, value in (
                ("oss", ours["rate"]),
                ("raw", theirs["rate"]),
                ("row", row["rate"]),
                ("worst", ours["worst"]),
                ("median", ours["median"]),
            ):
                found[name].append(value)
    of = {name: statistics.median(values) for name, values in found.items()}
    return [
        Ratio("serve / raw server", of["oss"], of["raw"], "tok/s", rounds, ">= 0.97"),
        Ratio("8 at once / in a row", of["oss"], of["row"], "tok/s", rounds, ">= 1.2"),
        Ratio("slowest first token / median", of["worst"], of["median"], "s", rounds, "<= 1.5"),
        Ratio("second request evaluates / first", warm[2], cold[2], "tokens", 1, "its own alone"),
    ]


def state(pid: int) -> dict[str, int]:
    """Resident KiB, threads, open files of a process (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    values = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return {
        "rss": int(values["VmRSS"].split()[0]),
        "threads": int(values["Threads"]),
        "files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
    }


async def mixed(port: int, until: float) -> int:
    """Requests of all kinds until then; how many."""
    count = 0
    while time.monotonic() < until:
        kind, asked = random.randrange(5), body("tiny", random.choice(TOPICS), persona=False)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        asked["max_tokens"] = random.randrange(1, 64)
        raw = json.dumps(asked).encode()
        if kind == 1:
            raw = raw[: random.randrange(len(raw))]
        elif kind == 2:
            raw = json.dumps(
                {**asked, "messages": [{"role": "user", "content": "я " * 50000}]}
            ).encode()
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n" % len(raw) + raw
        )
        if kind == 3:  # leaves in the middle
            await reader.read(random.randrange(1, 2000))
        elif kind == 4:  # says nothing for a while, then leaves
            await asyncio.sleep(random.random())
        else:
            await reader.read()
        writer.close()
        count += 1
    return count


async def soak(model: Path, seconds: float) -> dict[str, Any]:
    with served(model, "--queue", "4") as (port, pid):
        await asyncio.gather(*(mixed(port, time.monotonic() + seconds / 4) for _ in range(12)))
        await asyncio.sleep(2)
        before = state(pid)
        counts = await asyncio.gather(*(mixed(port, time.monotonic() + seconds) for _ in range(12)))
        await asyncio.sleep(2)
        after = state(pid)
        return {
            "seconds": seconds,
            "requests": sum(counts),
            "before": before,
            "after": after,
            "memory": round(after["rss"] / before["rss"], 4),
        }


def main() -> None:
    arguments = parser(__doc__ or "", rounds=3)
    arguments.add_argument("--model", type=Path, help="a GGUF file; the starter's if left out")
    arguments.add_argument("--soak", type=float, default=0.0, metavar="SECONDS")
    given = arguments.parse_args()
    model = given.model or starter_gguf()
    if given.soak:
        json.dump(asyncio.run(soak(model, given.soak)), sys.stdout, indent=2)
        print()
    else:
        report(asyncio.run(measure(model, given.rounds)), given.json)


if __name__ == "__main__":
    main()
