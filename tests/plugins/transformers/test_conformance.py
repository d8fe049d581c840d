"""The suite of all backends, over transformers on the starter model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from oss.testing.conformance.backend import BackendConformance
from oss_plugins.hf_transformers.backend import TransformersBackend

from .conftest import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import Backend
    from oss.contracts.model import LocalModel

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.torch]


class TestTransformers(BackendConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> Backend:
        return TransformersBackend()

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, starter: LocalModel) -> LocalModel:
        return starter

    @pytest.fixture(scope="class")
    @classmethod
    def options(cls) -> Mapping[str, Any]:
        return {**DEFAULTS, "context": 1024, "threads": 1}

    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls, adapters: dict[str, AdapterRef]) -> AdapterRef:
        return adapters["шум.1"]

    @pytest.fixture(scope="class")
    @classmethod
    def idle_adapter(cls, adapters: dict[str, AdapterRef]) -> AdapterRef:
        return adapters["idle"]

    @pytest.fixture(scope="class")
    @classmethod
    def broken_model(cls, broken: LocalModel) -> LocalModel:
        return broken
