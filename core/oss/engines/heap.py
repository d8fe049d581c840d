"""Memory that engines have freed goes back to the system: for processes that live long.

glibc keeps what C code frees for itself, and learns to keep ever larger pieces. Engines that come
and go beside others, and prompts of ten megabytes each that are put aside and taken up again, make
a server grow by half in as many minutes without leaking a byte. Other C libraries are left alone.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

_M_MMAP_THRESHOLD = -3
_LARGE = 1024 * 1024


def keep_large_apart() -> None:
    """From here on, pieces of a megabyte and more are given back as soon as they are freed."""
    if (libc := _glibc()) is not None:
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)


def give_back() -> None:
    """Give back what lies free between pieces in use; takes some milliseconds."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


@cache
def _glibc() -> Any:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") else None
