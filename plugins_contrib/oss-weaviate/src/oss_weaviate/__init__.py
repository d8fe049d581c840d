"""Weaviate as a vector store: a server, or a cluster."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor, Option
from oss.hookspecs import hookimpl


@hookimpl
def oss_stores() -> list[Descriptor]:
    """The store ``weaviate``."""
    return [
        Descriptor(
            "weaviate",
            "Weaviate on a server: dense vectors in HNSW, filters",
            "oss_weaviate.store:WeaviateStore",
            options=(
                Option("url", "str", "http://localhost:8080", "The server's address."),
                Option("grpc_port", "int", 50051, "Its port for gRPC.", minimum=1, maximum=65535),
                Option("key_env", "str", "WEAVIATE_API_KEY", "Environment variable with the key."),
                Option("prefix", "str", "Oss", "Put before every collection's name there."),
                Option("replication", "int", 1, "Copies of a new collection.", minimum=1),
                Option("timeout", "int", 30, "Seconds to wait for the server.", minimum=1),
            ),
        )
    ]
