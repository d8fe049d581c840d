"""LanceDB as a vector store: tables in files, in one process."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor, Option
from oss.hookspecs import hookimpl


@hookimpl
def oss_stores() -> list[Descriptor]:
    """The store ``lancedb``."""
    return [
        Descriptor(
            "lancedb",
            "LanceDB in this process: dense vectors in tables of Arrow, filters",
            "oss_lancedb.store:LanceStore",
            options=(
                Option(
                    "index_from",
                    "int",
                    20_000,
                    "Points from which on they get an index; fewer are compared one by one.",
                    minimum=256,
                ),
            ),
        )
    ]
