"""Freed memory goes back to the system."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import ctypes, sys
from oss.engines.heap import give_back, keep_large_apart
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

def resident():
    line = next(x for x in open("/proc/self/status") if x.startswith("RssAnon"))
    return int(line.split()[1]) // 1024

def hole(count, size):
    # A piece in use at the end keeps the freed ones before them from going back by themselves.
    taken = [libc.malloc(size) for _ in range(count)]
    for each in taken:
        libc.memset(each, 1, size)
    libc.malloc(500_000)
    for each in taken:
        libc.free(each)

libc.free(libc.malloc(30 * 2**20))  # teaches glibc to keep pieces as large as that
if "apart" in sys.argv:
    keep_large_apart()
before = resident()
hole(10, 10 * 2**20)
print(resident() - before)
hole(100_000, 1000)
small = resident() - before
give_back()
print(small - (resident() - before))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's habits")
def test_what_is_freed_goes_back() -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("reads /proc")

    def run(*flags: str) -> list[int]:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *flags], capture_output=True, text=True, check=True
        )
        return [int(line) for line in done.stdout.split()]

    kept, _ = run()
    if kept < 50:
        pytest.skip("this C library keeps nothing")
    apart, given_back = run("apart")
    assert apart < 20, "MiB that stay of 100 in large pieces"
    assert given_back > 50, "MiB that come back of 100 in small ones"
