"""Both bindings pass the suite, for real, on the starter model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from oss_plugins.llamacpp.backend import LlamaCppBackend
from support.conformance import StarterConformance

from .conftest import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oss.contracts.backend import Backend


class Starter(StarterConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> Backend:
        return LlamaCppBackend()


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
