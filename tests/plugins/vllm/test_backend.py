"""What is refused before a server is started or asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import CapabilityError, ConfigError, ModelError
from oss.contracts.model import LocalModel
from oss_plugins.vllm_server.backend import VllmBackend

from .conftest import DEFAULTS

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("httpx2")
pytest.importorskip("tenacity")


def test_what_is_missing_depends_on_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    found = "oss_plugins.vllm_server.backend.find_spec"
    monkeypatch.setattr(found, lambda name: None if name == "vllm" else object())
    assert "OSS_VLLM_PYTHON" in str(VllmBackend.problem())
    assert VllmBackend.problem_with({"eager": True}) == VllmBackend.problem()
    assert VllmBackend.problem_with({"url": "http://gpu:8000"}) is None
    assert VllmBackend.problem_with({"python": "/opt/vllm/bin/python"}) is None
    monkeypatch.setenv("OSS_VLLM_PYTHON", "/opt/vllm/bin/python")
    assert VllmBackend.problem() is None
    monkeypatch.setattr(found, lambda name: None if name == "httpx2" else object())
    assert "httpx2" in str(VllmBackend.problem_with({"url": "http://gpu:8000"}))


async def test_a_gguf_file_alone(tmp_path: Path) -> None:
    model = LocalModel("starter", "file:x", "gguf", tmp_path / "x.gguf")
    with pytest.raises(ModelError) as caught:
        async with VllmBackend().open(model, (), DEFAULTS):
            pass
    assert caught.value.hint == "oss model convert starter --to hf"


async def test_a_file_is_not_on_a_server(folder: Path) -> None:
    model = LocalModel("x", "file:x", "hf", folder)
    with pytest.raises(CapabilityError, match="gpu"):
        async with VllmBackend().open(model, (), {**DEFAULTS, "url": "http://gpu:8000"}):
            pass


async def test_a_literal_key_is_refused() -> None:
    model = LocalModel("remote:m", "remote:m", "remote")
    options = {**DEFAULTS, "url": "http://gpu:8000", "key": "sk-secret"}
    with pytest.raises(ConfigError) as caught:
        async with VllmBackend().open(model, (), options):
            pass
    assert "sk-secret" not in f"{caught.value}{caught.value.hint}"
