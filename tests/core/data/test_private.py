"""Secrets and personal data are found, masked; what only looks like them is not."""

from __future__ import annotations

import pytest

from oss.data.private import find_private, passes_luhn, passes_mod97


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("key AKIA" + "ABCDEFGHIJKLMNOP", "AWS key"),
        ("ghp" + "_" + "a1B2" * 9, "GitHub token"),
        ("hf" + "_" + "abcdEFGH" * 4, "Hugging Face token"),
        ("sk-" + "ant-api03-" + "x" * 40, "Anthropic key"),
        ("sk-" + "proj-" + "x" * 40, "OpenAI key"),
        ("xoxb" + "-1234567890-abcdef", "Slack token"),
        ("-----BEGIN RSA PRIVATE" + " KEY-----\nMIIE", "private key"),
        ("postgres://user:geheim@db/x", "password in an address"),
        ("бот 123456789:" + "AA" + "h" * 33, "Telegram bot token"),
    ],
)
def test_secrets(text: str, name: str) -> None:
    (found,) = (each for each in find_private(f"Вот: {text} и всё") if each.kind == "secret")
    assert found.name == name
    assert text.split()[-1] not in found.masked


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ivan.petrov@mail.ru", "e-mail address"),
        ("иван@почта.рф", "e-mail address"),
        ("+7 (912) 345-67-89", "phone number"),
        ("8 800 555-35-35", "phone number"),
        ("(555) 123-4567", "phone number"),
        ("+44 20 7946 0958", "phone number"),
        ("4111 1111 1111 1111", "card number"),
        ("378282246310005", "card number"),
        ("DE89 3704 0044 0532 0130 00", "IBAN"),
    ],
)
def test_personal_data(text: str, name: str) -> None:
    (found,) = find_private(f"пишите: {text}, спасибо")
    assert (found.kind, found.name) == ("personal", name)
    assert text not in found.masked


@pytest.mark.parametrize(
    "text",
    [
        "user@example.com and a@test.example.org",
        "4111 1111 1111 1112",
        "DE88 3704 0044 0532 0130 00",
        "ISBN 978-3-16-148410-0",
        "2024-10-12 10:15, version 8.10.123.4567",
        "8 100 200 300 400 roubles",
        "3.14159265358979, 1234567890123456",
        "https://example.org/path:with@signs",
        "sk-learn and hf_hub_download and task-based-approaches-are-very-long-words",
        "@property and 5@3",
    ],
)
def test_what_only_looks_like_it(text: str) -> None:
    assert list(find_private(text)) == []


def test_check_digits() -> None:
    assert passes_luhn("5500-0000-0000-0004")
    assert not passes_luhn("5500-0000-0000-0005")
    assert not passes_luhn("0")
    assert passes_mod97("GB82 WEST 1234 5698 7654 32")
    assert not passes_mod97("GB83 WEST 1234 5698 7654 32")
