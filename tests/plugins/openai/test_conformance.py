"""The suite of all backends, over llama.cpp's own server on the starter model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.model import LocalModel
from oss.testing.conformance.backend import BackendConformance
from oss_plugins.openai_api.backend import OpenAIBackend

from .conftest import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oss.contracts.backend import Backend

pytestmark = [pytest.mark.real, pytest.mark.slow]


class TestLlamaServer(BackendConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> Backend:
        return OpenAIBackend()

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> LocalModel:
        return LocalModel("remote:", "remote:", "remote")

    @pytest.fixture(scope="class")
    @classmethod
    def options(cls, llama_url: str) -> Mapping[str, Any]:
        return {**DEFAULTS, "url": llama_url, "key": "env:LLAMA_KEY"}
