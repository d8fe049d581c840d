"""Qdrant: embedded in this process, or a server or cluster when the profile gives a ``url``."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor, Option
from oss.hookspecs import hookimpl


@hookimpl
def oss_stores() -> list[Descriptor]:
    """One store: where it runs is an option of it."""
    return [
        Descriptor(
            "qdrant",
            "Qdrant, in this process or on a server: dense, sparse, filters",
            "oss_plugins.qdrant.store:QdrantStore",
            options=(
                Option(
                    "url", "str", "", "A server's address; empty keeps the data on this machine."
                ),
                Option("key_env", "str", "QDRANT_API_KEY", "Environment variable with the key."),
                Option("prefix", "str", "", "Put before every collection's name on the server."),
                Option("shards", "int", 1, "Shards of a new collection on a server.", minimum=1),
                Option("replication", "int", 1, "Copies of every shard on a cluster.", minimum=1),
                Option("timeout", "int", 30, "Seconds to wait for a server.", minimum=1),
            ),
            extra="retrieval",
        )
    ]
