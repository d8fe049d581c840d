"""The full-screen chat, ``oss tui``."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor
from oss.hookspecs import hookimpl


@hookimpl
def oss_commands() -> list[Descriptor]:
    """``oss tui``."""
    return [
        Descriptor(
            "tui",
            "Chat on a full screen.",
            "oss_plugins.tui.command:tui",
            extra="tui",
        )
    ]
