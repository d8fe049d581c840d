"""Reading a model's file into memory before it is loaded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from oss.engines.loading import loading_heard_by
from oss_plugins.llamacpp import page_cache
from oss_plugins.llamacpp.page_cache import read_ahead

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="preadv2(2) is Linux's")


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    made = [tmp_path / f"модель-{number}.gguf" for number in (1, 2)]
    for part in made:
        part.write_bytes(os.urandom(3 << 20))
    os.sync()  # a page that is still to be written cannot be given up
    return made


def give_up(files: list[Path]) -> None:
    """Ask the system to hold them no longer."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


async def test_reads_what_is_not_in_memory_once_and_says_how_far_it_is(parts: list[Path]) -> None:
    give_up(parts)
    said: list[str] = []
    with loading_heard_by(said.append):
        first = await read_ahead(parts)
    if not first:
        pytest.skip("this file system does not say what it holds")
    assert first == 6 << 20
    assert said == ["reading the model: 50 %", "reading the model: 100 %"]
    assert await read_ahead(parts) == 0


async def test_a_model_larger_than_free_memory_is_left_to_llama_cpp(
    parts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    give_up(parts)
    monkeypatch.setattr(page_cache, "machine_memory", lambda gpu: _Memory())
    assert await read_ahead(parts) == 0


class _Memory:
    available = 1 << 20
