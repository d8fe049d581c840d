"""Whether an embedder is the one that a collection was made with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oss.contracts.errors import UsageError

if TYPE_CHECKING:
    from oss.contracts.retriever import Embedder
    from oss.contracts.store import CollectionSettings


def check_embedder(name: str, settings: CollectionSettings, embedder: Embedder) -> None:
    """See that a collection's vectors are of this embedder.

    :raises UsageError: they are another's.
    """
    if settings.fingerprint != embedder.fingerprint:
        raise UsageError(
            f"collection '{name}' was made with embedder '{settings.embedder}' "
            f"({settings.fingerprint}), not '{embedder.name}' ({embedder.fingerprint})",
            hint=f"leave the embedder out to use the collection's own, or make it anew: "
            f"oss docs rm {name}, then oss docs add",
        )
