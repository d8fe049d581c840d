"""The guard in front of vLLM's paths."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

import oss_plugins.vllm_server


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("VLLM_API_KEY", "sesame")
    path = oss_plugins.vllm_server.__path__[0] + "/guard/oss_vllm_guard.py"
    spec = importlib.util.spec_from_file_location("oss_vllm_guard", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    return module.Guard(app)


async def ask(guarded: Any, path: str, key: str | None) -> int:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {key}".encode())] if key else []
    await guarded({"type": "http", "path": path, "headers": headers}, None, send)
    status: int = sent[0]["status"]
    return status


@pytest.mark.parametrize("path", ["/v1/models", "/invocations", "/adapters", "/tokenize", "/"])
async def test_every_path_asks_for_the_key(guarded: Any, path: str) -> None:
    assert await ask(guarded, path, None) == 401
    assert await ask(guarded, path, "ключ") == 401
    assert await ask(guarded, path, "sesame") == 200


async def test_health_is_open(guarded: Any) -> None:
    assert await ask(guarded, "/health", None) == 200
