"""What a backend that takes adapters must do; part of
:class:`~oss.testing.conformance.backend.BackendConformance`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.backend import Capability
from oss.contracts.errors import BackendError
from oss.testing.conformance.asking import CAPITAL, SAME, Opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import Backend
    from oss.contracts.model import LocalModel


class AdapterConformance:
    """The tests over adapters."""

    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls) -> AdapterRef | None:
        """An adapter for the model that changes what it says; ``None`` skips its tests."""
        return None

    @pytest.fixture(scope="class")
    @classmethod
    def idle_adapter(cls) -> AdapterRef | None:
        """An adapter for the model that changes nothing; ``None`` skips its test."""
        return None

    @pytest.fixture(scope="class")
    @classmethod
    def adapted(
        cls,
        backend: Backend,
        model: LocalModel,
        options: Mapping[str, Any],
        adapter: AdapterRef | None,
    ) -> Iterator[Opened]:
        """An engine with the adapter."""
        if adapter is None:
            pytest.skip("no adapter to test with")
        opened = Opened(backend, model, (adapter,), options)
        yield opened
        opened.close()

    def test_an_adapter_acts_as_strongly_as_asked(self, adapted: Opened, opened: Opened) -> None:
        adapted.need(Capability.ADAPTERS)
        assert adapted.ask(CAPITAL, SAME).content != opened.ask(CAPITAL, SAME).content

    def test_a_scale_per_request(
        self, adapted: Opened, opened: Opened, adapter: AdapterRef
    ) -> None:
        adapted.need(Capability.PER_REQUEST_ADAPTERS)
        plain = opened.ask(CAPITAL, SAME).content
        assert adapted.ask(CAPITAL, SAME, adapter_scales={adapter.name: 0.0}).content == plain
        assert adapted.ask(CAPITAL, SAME, adapter_scales={adapter.name: 1.0}).content != plain
        assert adapted.ask(CAPITAL, SAME, adapter_scales={adapter.name: 0.0}).content == plain

    def test_an_unknown_adapter_is_refused(self, opened: Opened) -> None:
        with pytest.raises(BackendError, match="чужой"):
            opened.ask(CAPITAL, adapter_scales={"чужой": 1.0})

    def test_an_adapter_that_does_nothing_is_refused(
        self,
        backend: Backend,
        model: LocalModel,
        options: Mapping[str, Any],
        idle_adapter: AdapterRef | None,
    ) -> None:
        if idle_adapter is None:
            pytest.skip("no idle adapter to test with")
        with pytest.raises(BackendError, match=idle_adapter.name):
            Opened(backend, model, (idle_adapter,), options).close()
