"""What can happen to a thread."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading


def end_thread(thread: threading.Thread) -> None:
    """Raise ``SystemExit`` in a thread, wherever its Python code is; what comes nearest to
    killing it.
    """
    assert thread.ident is not None
    found = ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
    )
    assert found == 1
