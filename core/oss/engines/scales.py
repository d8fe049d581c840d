"""Which adapters act on a request, and how strongly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oss.contracts.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oss.contracts.adapter import AdapterRef


def wanted_scales(
    adapters: Sequence[AdapterRef], asked: Mapping[str, float]
) -> list[tuple[AdapterRef, float]]:
    """The adapters that act on a request, each with its scale; those at 0 are left out.

    :raises BackendError: an adapter is named that was not opened.
    """
    known = {adapter.name for adapter in adapters}
    for name in asked:
        if name not in known:
            raise BackendError(
                f"no adapter '{name}' is open",
                hint=f"open: {', '.join(sorted(known)) or 'none'}",
            )
    scales = [(adapter, asked.get(adapter.name, adapter.scale)) for adapter in adapters]
    return [(adapter, scale) for adapter, scale in scales if scale]
