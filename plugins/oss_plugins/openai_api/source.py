"""``remote:NAME``: nothing of the model is on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oss.contracts.model import LocalModel, ModelSource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oss.contracts.model import Progress


class RemoteSource(ModelSource):
    """Names on servers; whether a server has them is asked when a backend opens them.

    ``remote:`` without a name is the only model that a server has.
    """

    scheme = "remote"

    def find(self, rest: str) -> LocalModel:
        """The name as it stands."""
        return LocalModel(name=f"remote:{rest}", ref=f"remote:{rest}", format="remote")

    def pull(self, rest: str, progress: Progress, *, sha256: str | None = None) -> LocalModel:  # noqa: ARG002
        """Nothing to fetch: the server has it."""
        return self.find(rest)

    def list(self) -> Iterable[LocalModel]:
        """None: servers are not searched for."""
        return ()
