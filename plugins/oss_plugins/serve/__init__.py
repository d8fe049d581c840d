"""``oss serve``: every profile as a model of an OpenAI-compatible API."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor
from oss.hookspecs import hookimpl


@hookimpl
def oss_commands() -> list[Descriptor]:
    """The command ``serve``."""
    return [
        Descriptor(
            "serve",
            "Serve every profile as a model of an OpenAI-compatible API.",
            "oss_plugins.serve.command:serve",
            extra="serve",
        )
    ]
