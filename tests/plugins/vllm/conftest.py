"""The starter model in its Hugging Face form; a home apart."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.adapter import AdapterRef
from oss.contracts.model import LocalModel
from oss_plugins.vllm_server import OPTIONS
from support.peft_folders import write_peft_lora

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


@pytest.fixture(scope="session")
def starter(vllm_python: str) -> LocalModel:
    pytest.importorskip("transformers")
    from oss.testing.starter import starter_hf

    return LocalModel("starter", "file:starter", "hf", starter_hf())


@pytest.fixture(scope="session")
def adapter_files(
    tmp_path_factory: pytest.TempPathFactory, starter: LocalModel
) -> dict[str, AdapterRef]:
    """Adapters by what they are."""
    assert starter.path is not None
    folder = tmp_path_factory.mktemp("adapters")
    return {
        name: AdapterRef(name, write_peft_lora(folder / name, starter.path, strength=strength))
        for name, strength in (("шум", 0.1), ("idle", 0.0))
    }


@pytest.fixture(scope="session")
def broken() -> None:
    """A damaged model costs a minute more to find out here, and is refused all the same."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder with a configuration and nothing else."""
    found = tmp_path / "модель"
    found.mkdir()
    (found / "config.json").write_text(json.dumps({"model_type": "llama"}), encoding="utf-8")
    return found
