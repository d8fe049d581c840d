"""The starter model and its adapters, in a home apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.adapter import AdapterRef
from oss.contracts.model import LocalModel
from oss_plugins.llamacpp import OPTIONS
from support.gguf_lora import write_lora

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEFAULTS: dict[str, Any] = {option.name: option.default for option in OPTIONS}


@pytest.fixture(scope="session", autouse=True)
def _home_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSS_HOME", str(tmp_path_factory.mktemp("llamacpp-home")))
        yield


@pytest.fixture(scope="session")
def starter(starter_gguf: Path) -> LocalModel:
    return LocalModel("starter", "file:starter", "gguf", starter_gguf)


@pytest.fixture(scope="session")
def broken(starter_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    """The starter's beginning."""
    path = tmp_path_factory.mktemp("broken") / "cut.gguf"
    path.write_bytes(starter_gguf.read_bytes()[:5_000_000])
    return LocalModel("cut", "file:cut", "gguf", path)


@pytest.fixture(scope="session")
def adapter_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, AdapterRef]:
    """Adapters by what is the matter with them."""
    folder = tmp_path_factory.mktemp("adapters")
    made = {
        "шум": {"strength": 0.1},
        "other-noise": {"strength": 0.1, "seed": 2},
        "idle": {"strength": 0.0},
        "other-architecture": {"strength": 0.0, "architecture": "gpt-oss"},
        "other-width": {"strength": 0.0, "width": 64},
    }
    return {
        name: AdapterRef(name, write_lora(folder / f"{name}.gguf", **how))  # type: ignore[arg-type]
        for name, how in made.items()
    }
