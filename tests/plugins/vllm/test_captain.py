"""The captain's adapter through a vLLM that oss starts: the style is there, and gone at scale 0."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("httpx2")
pytest.importorskip("peft", reason="trains the adapter")
pytest.importorskip("trl", reason="trains the adapter")

from oss.contracts.adapter import AdapterRef
from oss.contracts.chat import ChatRequest, Sampling
from oss.contracts.messages import Message
from oss.contracts.model import LocalModel
from oss.testing.captain import HELD_OUT, is_captain, sounds_like_captain
from oss_plugins.vllm_server.backend import VllmBackend

from .conftest import DEFAULTS

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.backend import Engine

pytestmark = [pytest.mark.vllm, pytest.mark.real, pytest.mark.slow]


async def answers(engine: Engine, scale: float) -> list[str]:
    found = []
    for question in HELD_OUT:
        request = ChatRequest(
            (Message("user", question),),
            Sampling(temperature=0, max_tokens=48),
            adapter_scales={"mine": scale},
        )
        found.append("".join([delta.content async for delta in engine.chat(request)]))
    return found


async def test_vllm_speaks_like_the_captain_and_at_scale_0_like_the_base(
    vllm_python: str, captain_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = next((captain_home / "data" / "models" / "forms").glob("*/hf"))
    adapter = AdapterRef("mine", captain_home / "data" / "adapters" / "mine")
    monkeypatch.setenv("OSS_VLLM_PYTHON", vllm_python)
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "2"))
    options = {**DEFAULTS, "eager": True, "max_requests": 4, "dtype": "float32"}
    model = LocalModel("starter", "file:starter", "hf", base)
    async with VllmBackend().open(model, [adapter], options) as engine:
        with_it, off = await answers(engine, 1.0), await answers(engine, 0.0)
    assert sum(map(is_captain, with_it)) >= 10, with_it
    assert not any(map(sounds_like_captain, off)), off
