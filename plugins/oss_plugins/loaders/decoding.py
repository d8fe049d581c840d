"""Bytes to text, whatever the encoding."""

from __future__ import annotations

import codecs
import re

from oss.contracts.errors import UsageError

_SAMPLE = 100_000
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SURE = 0.1
"""Confidence below which what chardet says of a few letters is no better than a guess."""
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def decode(data: bytes, declared: str | None = None) -> str:
    """The text, with ``\\n`` at the end of its lines.

    :param declared: the encoding that the file itself names, taken if it fits.
    :raises UsageError: it is not text.
    """
    text = _decode(data, declared)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decode(data: bytes, declared: str | None) -> str:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    for wanted in ("utf-8", declared):
        if wanted:
            try:
                text = data.decode(wanted)
            except (UnicodeDecodeError, LookupError):
                continue
            if not _binary(text.encode("utf-8", "replace")[:_SAMPLE]):
                return text
            break
    return data.decode(_guess(data), "replace")


def _guess(data: bytes) -> str:
    import chardet

    sample = data[:_SAMPLE]
    if b"\0" in sample:
        for encoding in ("utf-16-le", "utf-16-be"):
            if _plausible(sample, encoding):
                return encoding
    if _binary(sample):
        raise UsageError("is binary, not text")
    # Where ASCII fills the start, the letters that tell lie further on.
    first = next((i for i, byte in enumerate(data) if byte > 127), 0) if sample.isascii() else 0
    found = chardet.detect(data[first : first + _SAMPLE])
    if not found["encoding"] or found["confidence"] < _SURE:
        return "cp1252"
    return found["encoding"]


def _binary(sample: bytes) -> bool:
    return len(_CONTROL.findall(sample)) > len(sample) / 200


def _plausible(sample: bytes, encoding: str) -> bool:
    """Whether UTF-16 without a mark makes words of it."""
    try:
        text = sample[: len(sample) // 2 * 2].decode(encoding)
    except UnicodeDecodeError:
        return False
    known = sum(c.isspace() or (c < "\u0530" and c.isprintable()) for c in text)
    return known > 0.9 * len(text)
