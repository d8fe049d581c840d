"""The starter model in its Hugging Face form, and adapters for it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.adapter import AdapterRef
from oss.contracts.model import LocalModel
from oss_plugins.hf_transformers import OPTIONS
from support.peft_folders import write_peft_lora

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEFAULTS: dict[str, Any] = {option.name: option.default for option in OPTIONS}

os.environ.setdefault("GOMP_SPINCOUNT", "0")


@pytest.fixture(scope="session", autouse=True)
def _home_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSS_HOME", str(tmp_path_factory.mktemp("transformers-home")))
        yield


@pytest.fixture(scope="session")
def starter(_home_apart: None) -> LocalModel:
    from oss.testing.starter import starter_hf

    return LocalModel("starter", "file:starter", "hf", starter_hf())


@pytest.fixture(scope="session")
def adapter_files(
    tmp_path_factory: pytest.TempPathFactory, starter: LocalModel
) -> dict[str, AdapterRef]:
    folder = tmp_path_factory.mktemp("adapters")
    assert starter.path is not None
    made: dict[str, dict[str, Any]] = {
        "шум": {"strength": 0.1},
        "noise-2": {"strength": 0.1, "seed": 2},
        "idle": {"strength": 0.0},
    }
    files = {
        name: AdapterRef(name, write_peft_lora(folder / name, starter.path, **how))
        for name, how in made.items()
    }
    files["шум"] = replace(files["шум"], name="шум.1")  # a dot parts names in PEFT
    return files


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory, starter: LocalModel) -> LocalModel:
    """The starter with half of its weights' file."""
    assert starter.path is not None
    folder: Path = tmp_path_factory.mktemp("broken")
    for file in starter.path.iterdir():
        data = file.read_bytes() if file.suffix != ".safetensors" else b"\x00" * 1000
        (folder / file.name).write_bytes(data)
    return LocalModel("broken", "file:broken", "hf", folder)
