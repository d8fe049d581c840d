"""A few tools that every profile can allow."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor
from oss.hookspecs import hookimpl


@hookimpl
def oss_tools() -> list[Descriptor]:
    """The clock, arithmetic, and files of the working directory."""
    return [
        Descriptor("now", "the date and time", "oss_plugins.basics.clock:Now"),
        Descriptor("calculate", "exact arithmetic", "oss_plugins.basics.arithmetic:Calculate"),
        Descriptor(
            "list_files",
            "names of files below the working directory; asks first",
            "oss_plugins.basics.files:ListFiles",
        ),
        Descriptor(
            "read_file",
            "a text file below the working directory; asks first",
            "oss_plugins.basics.files:ReadFile",
        ),
    ]
