"""What it takes to open an engine, apart from everything else that a turn is made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import Backend, Engine
    from oss.contracts.model import LocalModel
    from oss.turn.ingredients import Ingredients


@dataclass(frozen=True)
class EngineSpec:
    """A backend, a model, its adapters, and complete options."""

    backend_name: str
    backend: type[Backend]
    capabilities: frozenset[str]
    model: LocalModel
    adapters: tuple[AdapterRef, ...]
    options: Mapping[str, Any]

    def open(self) -> AbstractAsyncContextManager[Engine]:
        """Open it in this process; errors as :meth:`oss.contracts.backend.Backend.open`."""
        return self.backend().open(self.model, self.adapters, self.options)


def spec_of(made: Ingredients) -> EngineSpec:
    """The engine that a profile's turns run on."""
    return EngineSpec(
        made.backend_name,
        made.backend,
        made.capabilities,
        made.choice.model,
        made.adapters,
        made.options,
    )
