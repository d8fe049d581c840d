"""The options of the backend as one typed object, and how many threads this machine has."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Settings:
    """What :data:`oss_plugins.llamacpp.OPTIONS` declares, and ``context`` (0: as trained)."""

    context: int
    gpu_layers: int
    threads: int
    batch: int
    micro_batch: int
    slots: int
    contexts: str
    kv_cache: str
    flash_attention: str
    cpu_moe_layers: int
    mmap: bool
    mlock: bool
    chat_template: str
    prompt_cache: int

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Settings:
        """Complete options as settings; threads are counted when none are asked for."""
        values = {name: options[name] for name in cls.__dataclass_fields__}
        return cls(**{**values, "threads": values["threads"] or available_threads()})


def available_threads() -> int:
    """Cores for generation: physical ones, of those this process may run on, within its quota.

    Two threads on one core share its vector units, and slow each other down.
    """
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    cores = len({_siblings(cpu) for cpu in allowed}) if allowed else os.cpu_count() or 1
    return max(1, min(cores, _quota()))


def _siblings(cpu: int) -> str:
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        return path.read_text()
    except OSError:
        return str(cpu)


def _quota(path: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Whole processors that a container's limit amounts to, rounded up."""
    try:
        quota, period = path.read_text().split()
    except (OSError, ValueError):
        return os.cpu_count() or 1
    if quota == "max":
        return os.cpu_count() or 1
    return math.ceil(int(quota) / int(period))
