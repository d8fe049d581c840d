"""The way out of the program."""

from __future__ import annotations

import atexit
import os
import sys
import threading


def leave(code: object) -> None:
    """End the process at once with this exit code, where nothing is lost by it; else return.

    Python's own way out takes apart what the system takes back whole: with ONNX Runtime or an
    engine loaded that is a tenth of a short command's time. What has to happen still does: text
    is written out, and what was registered with :mod:`atexit` runs. Threads that Python would
    wait for, a reader that is gone, a profiler or a debugger get the ordinary end.

    :param code: of :class:`SystemExit`; a text is left to Python, which prints it.
    """
    if not (code is None or isinstance(code, int)) or _watched() or _others():
        return
    try:
        _flush()
        atexit._run_exitfuncs()  # it has no other name; multiprocessing calls it so too
        _flush()
    except (OSError, ValueError):  # a closed pipe or stream: Python says so in its own way
        return
    os._exit(code or 0)


def _watched() -> bool:
    return sys.gettrace() is not None or sys.getprofile() is not None


def _others() -> bool:
    here = threading.current_thread()
    return any(t is not here and not t.daemon for t in threading.enumerate())


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
