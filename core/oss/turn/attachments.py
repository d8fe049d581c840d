"""Files that go with a prompt, and the message that they make together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

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


def _fenced(attachment: Attachment) -> str:
    # Longer than any fence inside, so that the file cannot end its own.
    longest = max((len(run) for run in re.findall(r"`{3,}", attachment.text)), default=2)
    fence = "`" * (longest + 1)
    text = attachment.text if attachment.text.endswith("\n") else attachment.text + "\n"
    return f"File {attachment.name}:\n{fence}\n{text}{fence}"
