"""Both bindings pass the suite, for real, on the starter model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.model import LocalModel
from oss.testing.conformance.backend import BackendConformance
from oss_plugins.llamacpp.backend import LlamaCppBackend

from .conftest import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import Backend


class Starter(BackendConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> Backend:
        return LlamaCppBackend()

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, starter: LocalModel) -> LocalModel:
        return starter

    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls, adapter_files: dict[str, AdapterRef]) -> AdapterRef:
        return adapter_files["шум"]

    @pytest.fixture(scope="class")
    @classmethod
    def idle_adapter(cls, adapter_files: dict[str, AdapterRef]) -> AdapterRef:
        return adapter_files["idle"]

    @pytest.fixture(scope="class")
    @classmethod
    def broken_model(
        cls, starter_gguf: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> LocalModel:
        path = tmp_path_factory.mktemp("broken") / "cut.gguf"
        path.write_bytes(starter_gguf.read_bytes()[:5_000_000])
        return LocalModel("cut", "file:cut", "gguf", path)


@pytest.mark.real
class TestXllamacpp(Starter):
    @pytest.fixture(scope="class")
    @classmethod
    def options(cls) -> Mapping[str, Any]:
        pytest.importorskip("xllamacpp")
        return {**DEFAULTS, "context": 1024, "threads": 1, "binding": "xllamacpp"}


@pytest.mark.real
class TestLlamaCppPython(Starter):
    @pytest.fixture(scope="class")
    @classmethod
    def options(cls) -> Mapping[str, Any]:
        pytest.importorskip("llama_cpp")
        return {**DEFAULTS, "context": 1024, "threads": 1, "binding": "llama-cpp-python"}
