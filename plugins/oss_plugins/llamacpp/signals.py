"""Keeps the process's own answer to Ctrl-C while a library installs another."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def keep_signal_handlers() -> Iterator[None]:
    """Put back, on leaving, what SIGINT and SIGTERM did on entering; from any thread.

    llama.cpp's server takes both signals, after which Ctrl-C would stop the engine for good and
    Python would never hear of it. ``signal.signal`` works in the main thread alone, hence
    ``sigaction``. Its structure has 152 bytes or fewer on the systems of the wheels.
    """
    if sys.platform == "win32":
        yield
        return
    libc = ctypes.CDLL(None)
    kept = {number: ctypes.create_string_buffer(256) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, action in kept.items():
        libc.sigaction(int(number), None, action)
    try:
        yield
    finally:
        for number, action in kept.items():
            libc.sigaction(int(number), action, None)
