"""Faults of a program, as opposed to what a person can mend: kept whole, to be reported."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from oss.paths import cache_dir

if TYPE_CHECKING:
    from pathlib import Path


def keep_fault(error: BaseException) -> Path:
    """Write the traceback to a file; its path."""
    path = cache_dir() / "tui-fault.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    return path
