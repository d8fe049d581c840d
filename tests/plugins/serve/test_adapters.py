"""Adapters of several strengths at the same moment, on the starter model."""

from __future__ import annotations

import asyncio
import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from oss.plugins.manager import load_plugins
from oss.turn.events import Text
from oss.turn.pool import EnginePool
from oss_plugins.serve.asks import chat_ask
from oss_plugins.serve.jsons import decode
from oss_plugins.serve.schemas import ChatBody
from oss_plugins.serve.service import Service
from oss_plugins.serve.settings import Settings
from support.gguf_lora import write_lora

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssHome

pytest.importorskip("xllamacpp")


@pytest.mark.real
async def test_different_scales_at_one_moment(oss_home: OssHome, starter_gguf: Path) -> None:
    lora = write_lora(oss_home.cwd / "noise.gguf", strength=0.2)
    base = (
        f"[model]\nname = {json.dumps(str(starter_gguf))}\ncontext = 2048\n"
        "[sampling]\ntemperature = 0.0\nmax_tokens = 1\nseed = 1\n"
        "[backend.llamacpp]\nthreads = 1\n"
    )
    oss_home.write("config/profiles/plain.toml", base)
    oss_home.write(
        "config/profiles/noisy.toml",
        base + f'[[adapter]]\npath = {json.dumps(str(lora))}\nname = "noise"\n',
    )
    pool = EnginePool()
    service = Service(load_plugins(), Settings(profiles=("plain", "noisy")), pool)
    assert list(service.catalogue.names()) == ["plain", "noisy", "noisy:noise"]

    async def answer(model: str, **extra: Any) -> dict[str, float]:
        """The probabilities of the likeliest first tokens: a batch changes their last digits,
        another scale changes them altogether.
        """
        question = {"role": "user", "content": "What is the capital of France?"}
        body = {"model": model, "messages": [question], "logprobs": True, **extra}
        body["top_logprobs"] = 5
        ask = chat_ask(decode(json.dumps(body).encode(), ChatBody), service.settings)
        served = service.check(ask)
        async with service.engine(served) as engine:
            async for event in service.answer(served, ask, engine, 0.0):
                if isinstance(event, Text) and event.logprobs:
                    return {token: math.exp(value) for token, value in event.logprobs[0].top}
        raise AssertionError

    asks: list[tuple[str, dict[str, Any]]] = [
        ("plain", {}),
        ("noisy", {}),
        ("noisy", {"adapter_scales": {"noise": 0.0}}),
        ("noisy", {"adapter_scales": {"noise": 0.5}}),
        ("noisy:noise", {}),
    ]
    try:
        alone = [await answer(model, **extra) for model, extra in asks]
        together = await asyncio.gather(*(answer(model, **extra) for model, extra in asks))
        assert len(pool.loaded) == 1
    finally:
        await pool.close()
    for one, other in ((0, 2), (1, 4)):
        assert near(alone[one], alone[other])
    for one, other in ((0, 1), (0, 3), (1, 3)):
        assert not near(alone[one], alone[other])
    assert all(near(one, other) for one, other in zip(alone, together, strict=True))


def near(one: dict[str, float], other: dict[str, float]) -> bool:
    return all(abs(one.get(t, 0.0) - other.get(t, 0.0)) < 0.04 for t in {*one, *other})
