"""What `oss run` is asked: arguments, stdin and files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from oss.contracts.errors import UsageError
from oss.turn.attachments import decode

if TYPE_CHECKING:
    from collections.abc import Sequence


def read_prompt(words: Sequence[str]) -> str:
    """What comes by stdin (unless it is a terminal), then the words, divided by an empty line.

    :raises UsageError: stdin is not UTF-8.
    """
    parts = []
    if sys.stdin is not None and not sys.stdin.isatty():
        parts.append(decode(sys.stdin.buffer.read(), "stdin"))
    parts.append(" ".join(words))
    return "\n\n".join(part.strip("\n") for part in parts if part.strip())


def read_schema_option(given: str) -> dict[str, object]:
    """The JSON Schema that `--schema` means: a file, JSON, or the short form.

    :raises UsageError: unreadable, or no schema.
    """
    from oss.turn.json_schema import read_schema

    path = Path(given).expanduser() if "\n" not in given and len(given) < 1000 else None
    if path is not None and not given.lstrip().startswith("{"):
        if path.is_file():
            try:
                return read_schema(decode(path.read_bytes(), given), given)
            except OSError as error:
                raise UsageError(f"cannot read {given}: {error.strerror or error}") from error
        if given.endswith(".json") or "/" in given:
            raise UsageError(f"--schema: there is no file {given}")
    return read_schema(given, "--schema")
