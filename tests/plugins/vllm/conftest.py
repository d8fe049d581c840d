"""The starter model in its Hugging Face form; a home apart."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from oss_plugins.vllm_server import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEFAULTS: dict[str, Any] = {**{o.name: o.default for o in OPTIONS}, "context": 1024}


@pytest.fixture(scope="session", autouse=True)
def _home_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSS_HOME", str(tmp_path_factory.mktemp("vllm-home")))
        patch.delenv("OSS_VLLM_PYTHON", raising=False)
        yield


@pytest.fixture(scope="session")
def vllm_python() -> str:
    """An interpreter that has vLLM."""
    if not (found := os.environ.get("OSS_TEST_VLLM_PYTHON")):
        pytest.skip("OSS_TEST_VLLM_PYTHON names no interpreter that has vLLM")
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder with a configuration and nothing else."""
    found = tmp_path / "модель"
    found.mkdir()
    (found / "config.json").write_text(json.dumps({"model_type": "llama"}), encoding="utf-8")
    return found
