"""The server's process: its start, its failures, its end. A small stand-in takes vLLM's place."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("httpx2")

from oss.contracts.errors import BackendError
from oss.engines.loading import loading_heard_by
from oss_plugins.vllm_server import keeper
from oss_plugins.vllm_server.process import ManagedServer

STAND_IN = """
import http.server, json, os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("INFO Starting to load model", flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        told = {"argv": sys.argv, "key": os.environ["VLLM_API_KEY"], "child": child.pid}
        told["path"] = os.environ["PYTHONPATH"]
        self.wfile.write(json.dumps(told).encode())
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def package(folder: Path, source: str) -> str:
    """An interpreter whose vLLM is ``source``."""
    python = folder / "python"
    script = folder / "server.py"
    script.write_text(source)
    python.write_text(f'#!/bin/sh\nshift 2\nexec "{sys.executable}" "{script}" "$@"\n')
    python.chmod(0o755)
    return str(python)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before, or while it was read
        return False


def wait_gone(*pids: int) -> bool:
    for _ in range(300):
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.1)
    return False


def running(script: Path) -> list[int]:
    found = subprocess.run(["pgrep", "-f", str(script)], capture_output=True, text=True, check=True)
    return [int(pid) for pid in found.stdout.split()]


async def told(server: ManagedServer) -> dict[str, object]:
    def read() -> dict[str, object]:
        with urllib.request.urlopen(f"{server.url}/told") as answer:
            found: dict[str, object] = json.load(answer)
            return found

    return await asyncio.to_thread(read)


async def test_starts_tells_and_stops_with_all_children(tmp_path: Path) -> None:
    server = ManagedServer(package(tmp_path, STAND_IN), ["--model", "x"], 60)
    heard: list[str] = []
    with loading_heard_by(heard.append):
        await server.start()
    facts = await told(server)
    assert server.running
    assert server.url.startswith("http://127.0.0.1:")
    assert facts["key"] == server.key
    assert server.key not in str(facts["argv"])
    assert facts["argv"][-2:] == ["--model", "x"]  # type: ignore[index]
    assert heard
    child = int(str(facts["child"]))
    assert alive(child)
    await server.stop()
    assert not server.running
    assert wait_gone(child)


async def test_a_killed_server_takes_its_children_along(tmp_path: Path) -> None:
    server = ManagedServer(package(tmp_path, STAND_IN), [], 60)
    await server.start()
    child = int(str((await told(server))["child"]))
    assert server.pid is not None
    for pid in running(tmp_path / "server.py"):
        if os.getpgid(pid) == server.pid and pid != server.pid:
            os.kill(pid, signal.SIGKILL)
    assert await server.ended(within=10)
    assert wait_gone(child)
    await server.stop()


async def test_a_failure_shows_the_last_words(tmp_path: Path) -> None:
    python = package(tmp_path, "import sys; print('много слов'); sys.exit('CUDA out of memory')")
    with pytest.raises(BackendError, match="ended while it was starting") as caught:
        await ManagedServer(python, [], 60).start()
    assert caught.value.hint is not None
    assert "много слов" in caught.value.hint
    assert "CUDA out of memory" in caught.value.hint


async def test_no_vllm_is_said_plainly(tmp_path: Path) -> None:
    python = package(tmp_path, "import sys; sys.exit(\"No module named 'vllm'\")")
    with pytest.raises(BackendError) as caught:
        await ManagedServer(python, [], 60).start()
    assert "OSS_VLLM_PYTHON" in str(caught.value.hint)


async def test_no_such_interpreter(tmp_path: Path) -> None:
    with pytest.raises(BackendError):
        await ManagedServer(str(tmp_path / "nowhere"), [], 60).start()


async def test_a_start_that_takes_too_long(tmp_path: Path) -> None:
    python = package(tmp_path, "import time; print('still here', flush=True); time.sleep(600)")
    server = ManagedServer(python, [], 1)
    with pytest.raises(BackendError, match="within 1 s") as caught:
        await server.start()
    assert "still here" in str(caught.value.hint)
    assert not server.running


def test_the_keeper_ends_everything_when_its_starter_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    command = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(note)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}\\n')\n"
        "time.sleep(600)\n"
    )
    starter = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-I', {keeper.__file__!r}, sys.executable, '-c', "
        f"{command!r}], stdin=subprocess.PIPE, start_new_session=True)\n"
        "time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", starter])
    while not (note.exists() and note.read_text().endswith("\n")):
        time.sleep(0.05)
    pids = [int(pid) for pid in note.read_text().split()]
    process.kill()
    process.wait()
    assert wait_gone(*pids)
