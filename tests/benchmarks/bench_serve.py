"""`oss serve` against the engine's own HTTP server: 8 clients, 96 tokens each, one persona.

``python tests/benchmarks/bench_serve.py [--rounds N] [--engine llamacpp|vllm] [--model PATH]
[--threads N] [--mixing]`` prints ratios, both sides of each measured in turn. The other side is
xllamacpp's listening address, or vLLM's API server, with the same settings. With ``vllm`` the model
is a Hugging Face folder, and ``OSS_VLLM_PYTHON`` names an interpreter that has vLLM. ``--mixing``
measures what an adapter at different strengths in one moment costs on llama.cpp.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import Ratio, parser, report

from oss.testing.program import OssCli, OssHome
from oss.testing.starter import starter_gguf, starter_hf

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = 8
TOKENS = 96
CONTEXT = 8192
THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
PERSONA = "You are a patient clerk of a large library, and you answer in full sentences. " * 33
TOPICS = ("rivers", "bread", "ships", "glass", "maps", "wool", "clocks", "salt", "paper", "stars")


@dataclass(frozen=True)
class Side:
    """A server to ask.

    :param persona: the request brings the persona; a profile has it.
    """

    pid: int
    port: int
    key: str
    model: str
    persona: bool

    def body(self, topic: str, **extra: Any) -> dict[str, Any]:
        """A question that is answered at length, and that no one has asked before."""
        said = f"Tell a story of a thousand words about {topic}, number {random.random()}."
        messages = [{"role": "user", "content": said}]
        if self.persona:
            messages.insert(0, {"role": "system", "content": PERSONA})
        return {
            "model": self.model,
            "messages": messages,
            "max_tokens": TOKENS,
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0.6,
            **extra,
        }


async def answer(side: Side, asked: dict[str, Any]) -> tuple[float, int, int]:
    """Seconds to the first token; tokens of the answer; tokens of the prompt not cached."""
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", side.port)
    raw = json.dumps(asked).encode()
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n"
        % (side.key.encode(), len(raw))
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


def cpu_seconds(pid: int) -> float:
    """Of a process and all below it, so far; 0 where there is no ``/proc``."""
    spent, below = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        spent[int(folder.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        below.setdefault(int(fields[1]), []).append(int(folder.name))
    total, rest = 0.0, [pid]
    while rest:
        each = rest.pop()
        total += spent.get(each, 0.0)
        rest += below.get(each, [])
    return total


async def load(
    side: Side, *, at_once: bool = True, asks: list[dict[str, Any]] | None = None
) -> dict[str, float]:
    """Tokens per second of 8 requests; the slowest first token, the median, how many there were."""
    asks = asks or [side.body(topic) for topic in TOPICS[:CLIENTS]]
    spent, begun = cpu_seconds(side.pid), time.perf_counter()
    if at_once:
        found = await asyncio.gather(*(answer(side, asked) for asked in asks))
    else:
        found = [await answer(side, asked) for asked in asks]
    took = time.perf_counter() - begun
    spent = cpu_seconds(side.pid) - spent
    firsts = [first for first, _, _ in found]
    tokens = sum(tokens for _, tokens, _ in found)
    return {
        "rate": tokens / took,
        "per CPU second": tokens / spent if spent else 0.0,
        "worst": max(firsts),
        "median": statistics.median(firsts),
        "tokens": tokens,
    }


@contextmanager
def served(model: Path, backend: str, *flags: str) -> Iterator[Side]:
    """An `oss serve` with a profile."""
    with tempfile.TemporaryDirectory() as folder:
        home = OssHome(Path(folder) / "home", Path(folder) / "work")
        home.path.mkdir()
        home.cwd.mkdir()
        home.write(
            "config/profiles/tiny.toml",
            f"[model]\nname = {json.dumps(str(model))}\ncontext = {CONTEXT}\n"
            f"[persona]\nsystem = {json.dumps(PERSONA)}\n{backend}",
        )
        process = OssCli(home).start("serve", "-p", "tiny", "--port", "0", *flags)
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(rb"http://127\.0\.0\.1:(\d+)", line):
                break
        else:
            raise SystemExit("oss serve did not start")
        try:
            yield Side(process.pid, int(found.group(1)), "x", "tiny", persona=False)
        finally:
            process.terminate()
            process.communicate(timeout=60)


RAW_LLAMA = """
import sys, xllamacpp
p = xllamacpp.CommonParams()
p.model.path, p.n_ctx, p.n_parallel, p.verbosity = sys.argv[1], 8 * 8192, 8, 0
p.kv_unified = False
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = int(sys.argv[2])
p.slot_prompt_similarity, p.cache_ram_mib = 0.5, 512
p.warmup, p.api_keys, p.hostnames, p.n_threads_http = False, ["raw"], ["127.0.0.1"], 10
server = xllamacpp.Server(p)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@contextmanager
def raw_llama(model: Path, threads: int) -> Iterator[Side]:
    """The raw engine's own server, with the same settings."""
    process = subprocess.Popen(
        [sys.executable, "-c", RAW_LLAMA, str(model), str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline().decode().strip().rpartition(":")[2])
        yield Side(process.pid, port, "raw", "m", persona=True)
    finally:
        process.kill()
        process.communicate()


VLLM = (
    '[backend]\nname = "vllm"\n[backend.vllm]\neager = true\ndtype = "bfloat16"\nmax_requests = 8\n'
)
"""The settings of the profile; :func:`raw_vllm` has the same as flags."""


@contextmanager
def raw_vllm(model: Path) -> Iterator[Side]:
    """vLLM's own API server, with the same settings."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    command = [os.environ.get("OSS_VLLM_PYTHON") or sys.executable]
    command += ["-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--model", str(model), "--served-model-name", "m"]
    command += ["--max-model-len", str(CONTEXT), "--dtype", "bfloat16", "--enforce-eager"]
    command += ["--max-num-seqs", "8", "--api-key", "raw", "--enable-prefix-caching"]
    command += ["--enable-prompt-tokens-details"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        while True:
            if process.poll() is not None:
                raise SystemExit("vLLM did not start: " + " ".join(command))
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
                break
            except OSError:
                time.sleep(1)
        yield Side(process.pid, port, "raw", "m", persona=True)
    finally:
        os.killpg(process.pid, 15)
        process.wait()


@contextmanager
def both_sides(engine: str, model: Path | None, threads: int) -> Iterator[tuple[Side, Side]]:
    """`oss serve`, and the engine's own server."""
    with ExitStack() as stack:
        if engine == "vllm":
            model = model or starter_hf()
            ours, raw = served(model, VLLM), raw_vllm(model)
        else:
            model = model or starter_gguf()
            profile = f'[backend.llamacpp]\nthreads = {threads}\ncontexts = "separate"\n'
            ours, raw = served(model, profile), raw_llama(model, threads)
        yield stack.enter_context(ours), stack.enter_context(raw)


async def fill(ours: Side, raw: Side) -> Ratio:
    """What a second request evaluates; leaves the persona evaluated in each slot."""
    cold = await answer(ours, ours.body("rain"))
    warm = await answer(ours, ours.body("rain"))
    for side in (ours, raw):
        await load(side)
    return Ratio("second request evaluates / first", warm[2], cold[2], "tokens", 1, "its own alone")


async def measure(ours: Side, raw: Side, rounds: int) -> list[Ratio]:
    """The figures, once slots are filled."""
    found: dict[str, list[float]] = {}
    for turn in range(rounds):
        theirs = await load(raw)
        at_once = await load(ours)
        row = await load(ours, at_once=False)
        sides = {"oss": at_once, "raw": theirs, "row": row}
        print(f"# {turn}: {json.dumps(sides)}", file=sys.stderr)
        kept = {"oss": at_once["rate"], "raw": theirs["rate"], "row": row["rate"]}
        kept |= {f"{name} CPU": side["per CPU second"] for name, side in sides.items()}
        for name, value in {**at_once, **kept}.items():
            found.setdefault(name, []).append(value)
    of = {name: statistics.median(values) for name, values in found.items()}
    return [
        Ratio("serve / raw server", of["oss"], of["raw"], "tok/s", rounds, ">= 0.97"),
        Ratio("8 at once / in a row", of["oss"], of["row"], "tok/s", rounds, ">= 1.2"),
        Ratio("serve / raw, by CPU time", of["oss CPU"], of["raw CPU"], "tok/s", rounds),
        Ratio("at once / in a row, by CPU time", of["oss CPU"], of["row CPU"], "tok/s", rounds),
        Ratio("slowest first token / median", of["worst"], of["median"], "s", rounds, "<= 1.5"),
    ]


async def mixing(side: Side, rounds: int) -> list[Ratio]:
    """8 requests with one scale of the adapter, then 8 with four scales among them, then with one
    again.
    """

    async def asked(scales: tuple[float, ...]) -> float:
        asks = [
            side.body(topic, adapter_scales={"noise": scales[index % len(scales)]})
            for index, topic in enumerate(TOPICS[:CLIENTS])
        ]
        return (await load(side, asks=asks))["rate"]

    await asked((1.0,))
    one = [await asked((1.0,)) for _ in range(rounds)]
    four = [await asked((0.25, 0.5, 0.75, 1.0)) for _ in range(rounds)]
    after = [await asked((1.0,)) for _ in range(rounds)]
    base = statistics.median(one)
    return [
        Ratio("four scales at once / one", statistics.median(four), base, "tok/s", rounds),
        Ratio("one scale afterwards / before", statistics.median(after), base, "tok/s", rounds),
    ]


@contextmanager
def with_adapter(model: Path, threads: int) -> Iterator[Side]:
    """An `oss serve` whose profile has an adapter of noise."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from support.gguf_lora import write_lora

    with tempfile.TemporaryDirectory() as folder:
        lora = write_lora(Path(folder) / "noise.gguf", strength=0.02)
        adapter = f'[[adapter]]\npath = {json.dumps(str(lora))}\nname = "noise"\n'
        with served(model, f"[backend.llamacpp]\nthreads = {threads}\n{adapter}") as side:
            yield side


def main() -> None:
    arguments = parser(__doc__ or "", rounds=3)
    arguments.add_argument("--engine", choices=("llamacpp", "vllm"), default="llamacpp")
    arguments.add_argument("--model", type=Path, help="the starter in its form if left out")
    arguments.add_argument("--threads", type=int, default=THREADS)
    arguments.add_argument("--mixing", action="store_true", help="what different scales cost")
    given = arguments.parse_args()
    if given.mixing:
        with with_adapter(given.model or starter_gguf(), given.threads) as side:
            report(asyncio.run(mixing(side, given.rounds)), given.json)
        return
    with both_sides(given.engine, given.model, given.threads) as (ours, raw):
        second = asyncio.run(fill(ours, raw))
        report([*asyncio.run(measure(ours, raw, given.rounds)), second], given.json)


if __name__ == "__main__":
    main()
