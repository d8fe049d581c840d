"""Messages (``.eml``) and mailboxes (``.mbox``)."""

from __future__ import annotations

import email
import email.errors
import email.policy
import re
from typing import TYPE_CHECKING

from oss.contracts.errors import UsageError
from oss.contracts.loader import Loaded, Loader
from oss.retrieval.blocks import BlockList
from oss_plugins.loaders.decoding import decode
from oss_plugins.loaders.html import read_page

if TYPE_CHECKING:
    from email.message import EmailMessage

_FROM = re.compile(rb"^From [^\n]*\n", re.M)
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.M)


class MailLoader(Loader):
    """Subject, sender, date and text; attachments are named, not read."""

    def load(self, data: bytes, name: str) -> Loaded:
        """One message, or a mailbox of them in the ``mbox`` format."""
        if not name.lower().endswith(".mbox"):
            blocks = BlockList()
            message = _parse(data)
            _add(blocks, message)
            subject = _header(message, "subject")
            return Loaded(blocks, {"title": subject} if subject else {})
        if data and not data.startswith(b"From "):
            raise UsageError("is no mailbox: it does not begin with a 'From ' line")
        blocks = BlockList()
        starts = [m.end() for m in _FROM.finditer(data)]
        ends = [*[m.start() for m in _FROM.finditer(data)][1:], len(data)]
        for number, (start, end) in enumerate(zip(starts, ends, strict=True), 1):
            _add(blocks, _parse(_QUOTED_FROM.sub(rb"\1", data[start:end])), number)
        return Loaded(blocks)


def _parse(data: bytes) -> EmailMessage:
    message: EmailMessage = email.message_from_bytes(data, policy=email.policy.default)
    if not message.keys():
        raise UsageError("is no message: it has no headers")
    return message


def _header(message: EmailMessage, name: str) -> str:
    """A header as text; what is malformed is taken as it stands."""
    try:
        return " ".join(str(message.get(name, "")).split())
    except (ValueError, IndexError, AttributeError, email.errors.MessageError):
        raw = dict(message.raw_items()).get(name, "")
        return " ".join(str(raw).split())


def _add(blocks: BlockList, message: EmailMessage, number: int | None = None) -> None:
    subject = _header(message, "subject")
    heading = (subject,) if subject else ()
    lines = [
        f"{name}: {value}"
        for name in ("From", "To", "Date")
        if (value := _header(message, name.lower()))
    ]
    try:
        names = [part.get_filename() or "" for part in message.iter_attachments()]
    except (AttributeError, ValueError, KeyError):  # a message that is not built as it says
        names = []
    if any(names):
        lines.append(f"Attachments: {', '.join(filter(None, names))}")
    # Alone, so that two messages never share a chunk.
    blocks.add("\n".join(lines), heading, alone=True, message=number)
    body = message.get_body(("plain", "html"))
    if body is None:
        return
    payload = body.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else str(payload or "").encode()
    if body.get_content_type() == "text/html":
        read_page(data, blocks, heading, message=number)
    elif data:
        for block in re.split(r"\n\s*\n", decode(data, body.get_content_charset())):
            blocks.add(block, heading, message=number)
