"""The suite of all backends over the starter model; a backend's ``conftest.py`` gives the model in
its form (``starter``), adapters for it by name (``adapter_files``) and a damaged one (``broken``,
or ``None``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oss.testing.conformance.backend import BackendConformance

if TYPE_CHECKING:
    from oss.contracts.adapter import AdapterRef
    from oss.contracts.model import LocalModel


class StarterConformance(BackendConformance):
    """For a backend that opens the starter model itself."""

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
    def broken_model(cls, broken: LocalModel | None) -> LocalModel | None:
        return broken
