"""Runs a command and ends it, with all of its children, when whoever started this is gone.

Started as a script with isolated Python (``python -I keeper.py command...``); imports the
standard library alone. Standard input is a pipe that nobody writes to: it closes when the
starting process ends, however it ends. The keeper leads a process group of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

GRACE_S = 10.0
"""For the command to end when asked to."""

ORPHANS_S = 0.5
"""For its children to end once it has."""


def main(command: list[str]) -> None:
    """Run the command; ends with a signal to the whole group, itself included."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def watch() -> None:
        while os.read(0, 1024):
            pass
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_S)
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child.wait()
    # Workers of a server that died without a word would keep its memory.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(os.getpgrp(), signal.SIGTERM)
    time.sleep(ORPHANS_S)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
