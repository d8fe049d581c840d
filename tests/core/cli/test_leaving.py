"""The way out loses nothing, and is the short one where it can be."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

BEGIN = """
import atexit, os, sys, threading, time
from oss.cli.leaving import leave

class Taken:
    def __del__(self):
        os.write(2, b"apart ")

taken = Taken()
farewell = atexit.register(lambda: print("at exit"))
print("said", end=" ")
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    """Its standard error has 'apart' where Python took the process apart."""
    return subprocess.run(
        [sys.executable, "-c", BEGIN + script], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(("code", "status"), [("None", 0), ("0", 0), ("3", 3), ("True", 1)])
def test_at_once_with_what_was_said_and_registered(code: str, status: int) -> None:
    done = run(f"leave({code}); print('never')")
    assert (done.returncode, done.stdout, done.stderr) == (status, "said at exit\n", "")


@pytest.mark.parametrize(
    "script",
    [
        "def work():\n    time.sleep(0.3)\n    print('worked', end=' ')\n"
        "threading.Thread(target=work).start()\nleave(4)\nsys.exit(4)",
        "sys.setprofile(lambda *_: None)\nleave(4)\nprint('worked', end=' ')\nsys.exit(4)",
        "sys.settrace(lambda *_: None)\nleave(4)\nprint('worked', end=' ')\nsys.exit(4)",
    ],
    ids=["a thread that works", "a profiler", "a debugger"],
)
def test_the_ordinary_way(script: str) -> None:
    done = run(script)
    assert done.returncode == 4
    assert sorted(done.stdout.split()) == ["at", "exit", "said", "worked"]


def test_a_thread_that_nobody_waits_for_holds_nothing_up() -> None:
    done = run("threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nleave(0)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "said at exit\n", "")


def test_a_text_is_printed_by_python() -> None:
    done = run("leave('why')\nsys.exit('why')")
    assert done.returncode == 1
    assert "why" in done.stderr
    assert "apart" in done.stderr


def test_a_reader_that_is_gone_gets_the_ordinary_end() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", f"{BEGIN}atexit.unregister(farewell)\nleave(0)\nsys.exit(0)"],
        stdout=write,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
        text=True,
        timeout=60,
    )
    os.close(write)
    assert done.returncode == 120  # Python's own, for output that could not be flushed
    assert "BrokenPipeError" in done.stderr
    assert "apart" in done.stderr


def test_no_streams_at_all() -> None:
    done = run("sys.stdout = sys.stderr = None\nleave(5)")
    assert done.returncode == 5


def test_the_program_leaves_so() -> None:
    script = (
        "import sys; sys.argv = ['oss', 'nothing']\n"
        "from oss.__main__ import run\nrun()\nprint('never')"
    )
    done = run(script)
    assert done.returncode == 2
    assert "no command 'nothing'" in done.stderr
    assert "apart" not in done.stderr
    assert done.stdout == "said at exit\n"
