"""How much memory a model needs, and how much this machine has."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oss.models.facts import ModelFacts

GIB = 1024**3
_BATCH = 512  # tokens that llama.cpp evaluates at once (n_ubatch)
_SHORTEST = 4096  # tokens that a context must have to be of use, where the model has as many


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that a model takes when it is open with one context."""

    weights: int
    kv_cache: int
    overhead: int
    context: int

    @property
    def total(self) -> int:
        """Everything together."""
        return self.weights + self.kv_cache + self.overhead


@dataclass(frozen=True)
class MachineMemory:
    """Bytes of memory here. ``available`` counts what the system can give without swapping;
    0 in ``total`` means that the system does not say.

    :ivar gpu_total: of all GPUs together, ``gpu_available`` the free part.
    """

    total: int
    available: int
    gpu_total: int = 0
    gpu_available: int = 0

    @property
    def usable(self) -> int:
        """What a model may take: a layer goes to the GPU or to main memory."""
        return self.available + self.gpu_available

    def holds(self, need: MemoryNeed) -> bool:
        """Whether a model fits; yes where the system does not say what it has."""
        return self.total == 0 or need.total <= self.usable


def estimate_memory(facts: ModelFacts, context: int) -> MemoryNeed:
    """Memory of the weights, of ``context`` tokens of keys and values, and of the work space.

    ``context`` 0 is what the model was trained for. Keys and values are counted at 16 bits, as
    llama.cpp keeps them; the work space is what it reserves for 512 tokens at once with flash
    attention: the scores of the whole vocabulary, and two layers' activations, at 32 bits. Measured
    on its log for the starter model: weights +2 %, keys and values exact, work space exact.
    """
    tokens = context or facts.context_length
    windowed = min(tokens, facts.window + _BATCH)
    cache_bytes = (
        tokens * facts.kv_bytes_per_token
        + windowed * facts.window_bytes_per_token
        + facts.state_bytes
    )
    work = 4 * _BATCH * (facts.vocabulary + 2 * facts.embedding_length)
    return MemoryNeed(facts.file_size, cache_bytes, work, tokens)


def fitting_context(facts: ModelFacts, memory: MachineMemory) -> int:
    """The largest context, up to what the model was trained for, that fits; 0 where none does."""
    longest = facts.context_length or _SHORTEST
    if memory.holds(estimate_memory(facts, longest)):
        return longest
    low, high = 0, longest
    while high - low > 256:
        middle = (low + high) // 2 // 256 * 256
        if middle <= low:
            break
        if memory.holds(estimate_memory(facts, middle)):
            low = middle
        else:
            high = middle
    return low


def least_context(facts: ModelFacts) -> int:
    """The context that a model must at least have room for, when the profile asks for none."""
    return min(facts.context_length or _SHORTEST, _SHORTEST)


def machine_memory_now() -> MachineMemory:
    """As :func:`machine_memory`, for programs that run for long: the GPUs are asked again, which
    may take a second.
    """
    _nvidia_memory.cache_clear()
    return machine_memory()


def machine_memory(*, gpu: bool = True) -> MachineMemory:
    """Main memory within this process's control group, and the GPUs' (unless ``gpu`` is false).

    The GPUs are asked once in a process.
    """
    total, available = _main_memory()
    gpu_total, gpu_available = _nvidia_memory() if gpu else (0, 0)
    return MachineMemory(total, available, gpu_total, gpu_available)


def _main_memory() -> tuple[int, int]:
    if sys.platform == "linux":
        total, available = _meminfo()
        for limit, used in _cgroup_limits():
            total = min(total, limit)
            available = min(available, max(limit - used, 0))
        return total, available
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 0, 0
    return total, total * 3 // 4  # macOS lends a GPU about as much, and says nothing simpler


def _meminfo() -> tuple[int, int]:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return 0, 0
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def size(key: str) -> int:
        return int(fields.get(key, "0 kB").split()[0]) * 1024

    return size("MemTotal"), size("MemAvailable") or size("MemFree")


def _cgroup_limits() -> list[tuple[int, int]]:
    """``(limit, used)`` of each control group above this process that has a limit.

    Sources: Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst of Linux.
    """
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            root, limit, used = Path("/sys/fs/cgroup"), "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            root = Path("/sys/fs/cgroup/memory")
            limit, used = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        folder = root / group.lstrip("/")
        while folder == root or root in folder.parents:
            if (most := _number(folder / limit)) is not None:
                reclaimable = _stat(folder / "memory.stat", "inactive_file")
                found.append((most, max((_number(folder / used) or 0) - reclaimable, 0)))
            folder = folder.parent
    return found


def _number(file: Path) -> int | None:
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _stat(file: Path, key: str) -> int:
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{key} ")), 0)


@cache
def _nvidia_memory() -> tuple[int, int]:
    """Total and free bytes of all NVIDIA GPUs, by their own tool; 0 where there is none."""
    import shutil
    import subprocess

    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0, 0
    try:
        answer = subprocess.run(
            [tool, "--query-gpu=memory.total,memory.free", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout
        rows = [[int(number) for number in line.split(",")] for line in answer.splitlines()]
    except (OSError, subprocess.SubprocessError, ValueError):
        return 0, 0
    mib = 1024**2
    return sum(row[0] for row in rows) * mib, sum(row[1] for row in rows) * mib
