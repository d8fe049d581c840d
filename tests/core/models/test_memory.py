from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from oss.models import MachineMemory, estimate_memory, fitting_context, memory
from oss.models.facts import ModelFacts, inspect_model
from oss.models.text import count_text, size_text

if TYPE_CHECKING:
    from pathlib import Path

GB = 1000**3


def facts(**values: int) -> ModelFacts:
    return ModelFacts(format="gguf", architecture="llama", **values)


def test_the_context_costs_what_its_layers_keep() -> None:
    model = facts(
        file_size=10 * GB,
        context_length=10_000,
        kv_bytes_per_token=1000,
        window=488,
        window_bytes_per_token=1000,
    )
    assert estimate_memory(model, 2000).kv_cache == 2_000_000 + 1_000_000
    assert estimate_memory(model, 0).context == 10_000


def test_the_longest_context_that_fits() -> None:
    model = facts(file_size=2 * GB, context_length=100_000, kv_bytes_per_token=100_000)
    assert fitting_context(model, MachineMemory(64 * GB, 64 * GB)) == 100_000
    length = fitting_context(model, MachineMemory(8 * GB, 4 * GB))
    assert length % 256 == 0
    assert 19_000 < length <= 20_000
    assert fitting_context(model, MachineMemory(2 * GB, 1 * GB)) == 0
    assert fitting_context(model, MachineMemory(4 * GB, 0, 24 * GB, 24 * GB)) == 100_000
    assert fitting_context(model, MachineMemory(0, 0)) == 100_000  # a system that does not say


def test_a_control_group_limits_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_cgroup_limits", lambda: [(4 * GB, 3 * GB)])
    monkeypatch.setattr(memory, "_meminfo", lambda: (64 * GB, 60 * GB))
    monkeypatch.setattr(sys, "platform", "linux")
    assert memory.machine_memory(gpu=False) == MachineMemory(4 * GB, 1 * GB)


def test_this_machine() -> None:
    here = memory.machine_memory()
    assert here.total >= here.available > 0


@pytest.mark.parametrize(
    ("count", "text"),
    [(5, "5 B"), (98_362_432, "98 MB"), (1_915_305_312, "1.9 GB"), (999_999_999, "1.0 GB")],
)
def test_sizes(count: int, text: str) -> None:
    assert size_text(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(134_515_008, "135M"), (20_914_757_184, "20.9B"), (40_128, "40K"), (999_999_999, "1.0B")],
)
def test_counts(count: int, text: str) -> None:
    assert count_text(count) == text


@pytest.mark.real
@pytest.mark.usefixtures("oss_home")
def test_the_estimate_is_what_llama_cpp_takes(starter_gguf: Path) -> None:
    pytest.importorskip("llama_cpp")
    code = (
        "import sys, llama_cpp; llama_cpp.Llama(sys.argv[1], n_ctx=8192, n_batch=512,"
        "n_threads=1, flash_attn=True, verbose=True)"
    )
    log = subprocess.run(
        [sys.executable, "-c", code, str(starter_gguf)], capture_output=True, text=True, check=True
    ).stderr

    def mib(what: str) -> float:
        match = re.search(rf"{what} buffer size =\s+([\d.]+) MiB", log)
        assert match, log
        return float(match[1]) * 1024**2

    need = estimate_memory(inspect_model(starter_gguf), 8192)
    assert need.weights == pytest.approx(mib("model"), rel=0.03)
    assert need.kv_cache == pytest.approx(mib("KV"), rel=0.001)
    assert need.overhead == pytest.approx(mib("compute"), rel=0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for the tool")
def test_gpus_by_their_own_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '24564, 20000'\necho '8192, 8000'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    memory._nvidia_memory.cache_clear()
    found = memory.machine_memory()
    assert found.gpu_total == (24564 + 8192) * 1024**2
    assert found.usable == found.available + 28000 * 1024**2
    tool.write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n")
    assert memory.machine_memory().gpu_total == found.gpu_total
    assert memory.machine_memory_now().gpu_total == 0
    memory._nvidia_memory.cache_clear()
