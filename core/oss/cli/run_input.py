"""What `oss run` is asked: arguments, stdin and files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from oss.contracts.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.turn.attachments import Attachment


def read_prompt(words: Sequence[str]) -> str:
    """What comes by stdin (unless it is a terminal), then the words, divided by an empty line.

    :raises UsageError: stdin is not UTF-8.
    """
    parts = []
    if sys.stdin is not None and not sys.stdin.isatty():
        parts.append(decode(sys.stdin.buffer.read(), "stdin"))
    parts.append(" ".join(words))
    return "\n\n".join(part.strip("\n") for part in parts if part.strip())


def read_files(paths: Sequence[str]) -> list[Attachment]:
    """The texts of files, under the names they were given by.

    :raises UsageError: absent, unreadable, or not UTF-8.
    """
    from oss.turn.attachments import Attachment

    found = []
    for path in paths:
        try:
            raw = Path(path).expanduser().read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
        found.append(Attachment(path, decode(raw, path)))
    return found


def decode(raw: bytes, where: str) -> str:
    """The text of UTF-8 bytes, without a byte-order mark.

    :raises UsageError: other bytes; the message says at which place.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{where} is not UTF-8 text: byte 0x{raw[error.start]:02x} in line {line}",
            hint="convert it first, for example: iconv -f CP1251 -t UTF-8 FILE",
        ) from error
    if "\0" in text:
        raise UsageError(f"{where} is not text: it has zero bytes")
    return text


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
