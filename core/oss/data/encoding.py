"""Says which encoding a text that is not UTF-8 is probably in."""

from __future__ import annotations

import re

_SAMPLE = 2000
# Byte encodings of Cyrillic; each turns the letters of the others into other Cyrillic letters.
_CYRILLIC = ("cp1251", "koi8-r", "cp866")
_COMMON = frozenset("оеаинтсрвл")  # more than half of the letters of Russian


def utf8_problem(raw: bytes) -> str | None:
    """What is wrong with bytes that should be UTF-8, in a few words; ``None`` if nothing is."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        at = error.start
    else:
        return None
    near = raw[max(0, at - _SAMPLE // 2) : at + _SAMPLE]
    problem = f"not UTF-8 at byte {at + 1}"
    if guess := guess_encoding(near):
        words = re.findall(r"[^\W\d_]+", near.decode(guess, "replace"))
        word = next((w for w in words if not w.isascii()), "")[:24]
        problem += f"; it reads as {guess} ('{word}'): oss data convert --encoding {guess}"
    return problem


def guess_encoding(raw: bytes) -> str | None:
    """The name of the likely encoding of text that is not UTF-8, or ``None``."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if not any(byte > 127 for byte in raw) or b"\0" in raw:
        return None
    best, most = "cp1252", 0.0
    for name in _CYRILLIC:
        high = [c for c in raw.decode(name, "replace") if ord(c) > 127]
        # The right one gives letters only, and the common ones as often as in any Russian text.
        letters = sum("а" <= c <= "я" or "А" <= c <= "Я" or c in "ёЁ«»—№" for c in high)
        share = sum(c in _COMMON for c in high) / len(high)
        if letters >= 0.9 * len(high) and share > max(most, 0.3):
            best, most = name, share
    return best
