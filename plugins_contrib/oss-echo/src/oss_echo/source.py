"""Models that need no file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oss.contracts.model import LocalModel, ModelSource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oss.contracts.model import Progress


class EchoSource(ModelSource):
    """``echo:NAME`` is always here."""

    scheme = "echo"

    def find(self, rest: str) -> LocalModel:
        """A model of that name, for the backend ``echo``."""
        return LocalModel(name=f"echo:{rest}", ref=f"echo:{rest}", format="remote")

    def pull(self, rest: str, progress: Progress, *, sha256: str | None = None) -> LocalModel:  # noqa: ARG002
        """There is nothing to fetch."""
        progress(1, 1, f"echo:{rest}")
        return self.find(rest)

    def list(self) -> Iterable[LocalModel]:
        """None: nothing lies on the disk."""
        return []
