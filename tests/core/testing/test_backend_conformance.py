"""The fake backend passes the suite that real ones pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from oss.testing.conformance.backend import BackendConformance
from oss.testing.fakes import FakeBackend, fake_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oss.contracts.backend import Backend
    from oss.contracts.model import LocalModel


class TestFakeBackend(BackendConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> Backend:
        return FakeBackend()

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> LocalModel:
        return fake_model()

    @pytest.fixture(scope="class")
    @classmethod
    def options(cls) -> Mapping[str, Any]:
        return {"context": 512}
