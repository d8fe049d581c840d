"""A vLLM of our own behind `oss serve`: killed in the middle of answers, and started anew."""

from __future__ import annotations

import json
import os
import signal
import threading
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.serving import serving

for _module in ("httpx2", "tenacity", "uvicorn", "starlette", "prometheus_client"):
    pytest.importorskip(_module)

if TYPE_CHECKING:
    from oss.contracts.model import LocalModel
    from oss.testing.program import OssCli

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc"),
]

LONG = "Tell a story of a thousand words about the sea."
PROFILE = """
    [model]
    name = {path}
    context = 1024
    [persona]
    system = "Ты рассказчик."
    [backend]
    name = "vllm"
    [backend.vllm]
    eager = true
    dtype = "float32"
    max_requests = 4
"""


def post(port: int, **extra: Any) -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", port, timeout=300)
    asked = {"model": "mine", "messages": [{"role": "user", "content": LONG}], **extra}
    closing = {"Connection": "close"}  # once the answer is read
    connection.request("POST", "/v1/chat/completions", json.dumps(asked), closing)
    return connection.getresponse()


def vllm_processes(server: int) -> list[int]:
    """The processes that run vLLM for this server."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found, rest = [], [server]
    while rest:
        parent = rest.pop()
        children = [pid for pid, above in parents.items() if above == parent]
        rest += children
        found += [pid for pid in children if parent != server]  # its child is the keeper
    return found


def test_a_killed_vllm_costs_the_running_answers_alone(
    oss_cli: OssCli, starter: LocalModel, vllm_python: str
) -> None:
    oss_cli.env |= {
        "OSS_VLLM_PYTHON": vllm_python,
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "OMP_NUM_THREADS": "2",
    }
    oss_cli.home.write(
        "config/profiles/mine.toml", PROFILE.format(path=json.dumps(str(starter.path)))
    )
    with serving(oss_cli, "-p", "mine") as live:
        first = post(live.port, max_tokens=4)
        assert first.status == 200, first.read()
        assert json.loads(first.read())["choices"][0]["message"]["content"]
        streams = [post(live.port, max_tokens=800, stream=True) for _ in range(2)]
        for stream in streams:
            assert stream.status == 200
            stream.readline()
        whole: list[HTTPResponse] = []
        asking = threading.Thread(target=lambda: whole.append(post(live.port, max_tokens=800)))
        asking.start()
        streams[0].readline()
        killed = vllm_processes(live.process.pid)
        assert killed
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        for stream in streams:
            rest = stream.read().decode()
            assert '"code":"engine_failed"' in rest
            assert "[DONE]" not in rest
        asking.join(60)
        whole[0].read()
        assert whole[0].status in (200, 502), "it may have come after the death, and be answered"
        after = post(live.port, max_tokens=4)
        assert after.status == 200, after.read()
        assert json.loads(after.read())["choices"][0]["message"]["content"]
        assert not set(killed) & set(vllm_processes(live.process.pid))
        live.process.send_signal(signal.SIGINT)
        assert live.process.wait(60) == 0
