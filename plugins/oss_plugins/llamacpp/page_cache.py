"""Brings a model's file into main memory before llama.cpp maps it.

xllamacpp holds the interpreter while it loads, so that reading gigabytes from a disk would show no
progress, freeze a screen and make Ctrl-C wait. Read here first, the load itself is short.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from oss.engines.loading import say_loading
from oss.models.memory import machine_memory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PART = 32 << 20
"""Bytes that are read at once."""

PROBES = 8
"""Places of a part where it is asked whether it is in memory already."""


async def read_ahead(files: Sequence[Path]) -> int:
    """Read what the system does not hold in memory yet; other tasks run meanwhile.

    Nothing is read where memory would not hold it, or where the system cannot be asked (Linux can:
    ``RWF_NOWAIT`` of preadv(2)).

    :returns: bytes read.
    """
    nowait = getattr(os, "RWF_NOWAIT", None)
    total = sum(file.stat().st_size for file in files)
    if nowait is None:
        return 0
    done = read = 0
    for file in files:
        with file.open("rb", buffering=0) as opened:
            size = os.fstat(opened.fileno()).st_size
            for start in range(0, size, PART):
                length = min(PART, size - start)
                if not _held(opened.fileno(), start, length, nowait):
                    if not read and total > machine_memory(gpu=False).available:
                        return 0
                    await asyncio.to_thread(_read, file, start, length)
                    read += length
                    say_loading(f"reading the model: {100 * (done + length) // total} %")
                done += length
    return read


def _held(descriptor: int, start: int, length: int, nowait: int) -> bool:
    """Whether this part seems to be in memory; also where that cannot be said."""
    byte = bytearray(1)
    for probe in range(PROBES):
        try:
            os.preadv(descriptor, [byte], start + probe * length // PROBES, nowait)
        except BlockingIOError:
            return False
        except OSError:  # a file system that cannot tell
            return True
    return True


def _read(file: Path, start: int, length: int) -> None:
    buffer = bytearray(1 << 20)
    with file.open("rb", buffering=0) as opened:  # its own: a cancelled task closes the other
        opened.seek(start)
        for _ in range(0, length, len(buffer)):
            opened.readinto(buffer)
