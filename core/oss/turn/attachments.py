"""Files that go with a prompt, and the message that they make together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oss.contracts.errors import UsageError
from oss.contracts.messages import Message

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Attachment:
    """A text that goes with a prompt; ``name`` is shown to the model."""

    name: str
    text: str


def user_message(prompt: str, attachments: Sequence[Attachment] = ()) -> Message:
    """The attachments in their order, each fenced under its name, then the prompt."""
    parts = [_fenced(attachment) for attachment in attachments]
    if prompt:
        parts.append(prompt)
    return Message("user", "\n\n".join(parts))


def read_files(paths: Sequence[str]) -> list[Attachment]:
    """The texts of files, under the names they were given by.

    :raises UsageError: absent, unreadable, or not UTF-8.
    """
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


def _fenced(attachment: Attachment) -> str:
    # Longer than any fence inside, so that the file cannot end its own.
    longest = max((len(run) for run in re.findall(r"`{3,}", attachment.text)), default=2)
    fence = "`" * (longest + 1)
    text = attachment.text if attachment.text.endswith("\n") else attachment.text + "\n"
    return f"File {attachment.name}:\n{fence}\n{text}{fence}"
