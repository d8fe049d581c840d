"""The suite of all backends, over transformers on the starter model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from oss_plugins.hf_transformers.backend import TransformersBackend
from support.conformance import StarterConformance

from .conftest import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oss.contracts.backend import Backend

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.torch]


class TestTransformers(StarterConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> Backend:
        return TransformersBackend()

    @pytest.fixture(scope="class")
    @classmethod
    def options(cls) -> Mapping[str, Any]:
        return {**DEFAULTS, "context": 1024, "threads": 1}
