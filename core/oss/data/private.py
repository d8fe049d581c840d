"""Secrets and personal data in examples: what a model should not learn by heart.

Only forms that are hardly ever anything else: tokens with a prefix of their issuer, private keys,
numbers with a check digit. What is found is shown masked.

Sources: the prefixes are documented by their issuers and collected by
https://github.com/gitleaks/gitleaks (config/gitleaks.toml) and
https://github.com/Yelp/detect-secrets, which is made for source code: it reads files line by line,
and its entropy detectors fire on prose and on base64 alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECRETS = {
    "private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "AWS key": r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b",
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})",
    "GitLab token": r"\bglpat-[\w-]{20,}",
    "Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    "Anthropic key": r"\bsk-ant-[\w-]{24,}",
    "OpenAI key": r"\bsk-(?:proj-|svcacct-|admin-)[\w-]{24,}|\bsk-[A-Za-z0-9]{32,}\b",
    "Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}\b",
    "Google key": r"\bAIza[\w-]{35}",
    "Stripe key": r"\b[rs]k_live_[A-Za-z0-9]{16,}",
    "npm token": r"\bnpm_[A-Za-z0-9]{36}\b",
    "PyPI token": r"\bpypi-AgE[\w-]{50,}",
    "SendGrid key": r"\bSG\.[\w-]{22}\.[\w-]{43}",
    "Telegram bot token": r"\b\d{8,10}:AA[\w-]{33}\b",
    "JSON web token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
    "password in an address": r"\b[a-z][a-z0-9+.-]{2,}://[^\s/:@]+:[^\s/:@]{3,}@[\w.-]+",
}
_PERSONAL = {
    "e-mail address": r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[^\W\d_]{2,24}\b",
    "card number": r"(?<![\d.,-])[2-6]\d{3}(?:[ -]?\d{4}){2}[ -]?\d{1,7}(?![\d.,-]?\d)"
    r"|(?<![\d.,-])3[47]\d{2}[ -]?\d{6}[ -]?\d{5}(?!\d)",
    "IBAN": r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b",
    "phone number": r"(?<![\w+.-])(?:\+\d{1,3}|\b8)[ -]?\(?\d{2,4}\)?(?:[ -]?\d{2,4}){2,4}(?![\w-])"
    r"|(?<![\w.-])\(\d{3}\) ?\d{3}-\d{4}(?!\w)",
}
# Addresses that are made for examples (RFC 2606) name no one.
_EXAMPLE = re.compile(r"@(?:[\w-]+\.)*(?:example(?:\.\w+)?|test|invalid|localhost)$", re.IGNORECASE)


_SECRET = re.compile("|".join(f"({pattern})" for pattern in _SECRETS.values()))
_SECRET_NAMES = list(_SECRETS)
# A secret of another form there is not, and most text has none of these: the search is skipped.
_SECRET_MARK = re.compile(r"[_-]\w{9}|://|:AA|AKIA|ASIA|AIza|SG\.|eyJ|-----")
_PERSON = {name: re.compile(pattern) for name, pattern in _PERSONAL.items()}
_DIGITS = re.compile(r"\d\W{0,3}\d\W{0,3}\d\W{0,3}\d\W{0,3}\d")


@dataclass(frozen=True)
class Finding:
    """One secret or personal datum, masked."""

    kind: Literal["secret", "personal"]
    name: str
    masked: str


def find_private(text: str) -> Iterator[Finding]:
    """Every secret and every personal datum in a text, in no order."""
    if _SECRET_MARK.search(text):
        for match in _SECRET.finditer(text):
            name = _SECRET_NAMES[(match.lastindex or 1) - 1]
            yield Finding("secret", name, _mask(match.group()))
    numbers = _DIGITS.search(text) is not None
    for name, pattern in _PERSON.items():
        if numbers if name != "e-mail address" else "@" in text:
            for match in pattern.finditer(text):
                if _likely(name, match.group()):
                    yield Finding("personal", name, _mask(match.group()))


def _likely(name: str, found: str) -> bool:
    if name == "card number":
        return passes_luhn(found)
    if name == "IBAN":
        return passes_mod97(found)
    if name == "e-mail address":
        return not _EXAMPLE.search(found)
    digits = sum(map(str.isdigit, found))
    if found.startswith("8"):  # the Russian trunk prefix: eleven digits, in groups
        return digits == 11 and any(mark in found for mark in " (-")
    return 10 <= digits <= 15


def passes_luhn(number: str) -> bool:
    """Whether the check digit of a card number fits (ISO/IEC 7812-1)."""
    digits = [int(c) for c in number if c.isdigit()]
    doubled = (sum(divmod(2 * d, 10)) for d in digits[-2::-2])
    return 13 <= len(digits) <= 19 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def passes_mod97(number: str) -> bool:
    """Whether the check digits of an IBAN fit (ISO 13616)."""
    plain = number.replace(" ", "")
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def _mask(found: str) -> str:
    """Enough to find it by, and no more."""
    first = found.splitlines()[0]
    if "PRIVATE KEY" in first:
        return first
    shown = max(2, min(6, len(first) // 5))
    return f"{first[:shown]}…{first[-2:]}"
