"""Options of plugins' parts: types, choices, limits, nearest names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oss.contracts.descriptors import Descriptor, Option
from oss.contracts.errors import ConfigError
from oss.plugins.options import find_option_problems, validate

PART = Descriptor(
    "part",
    "a part",
    "nowhere:Part",
    options=(
        Option("text", "str", "a", "a text", choices=("alpha", "beta")),
        Option("count", "int", 3, "a count", minimum=0, maximum=9),
        Option("share", "float", 0.5, "a share", minimum=0, maximum=1),
        Option("flag", "bool", False, "a flag"),
        Option("file", "path", None, "a file"),
        Option("names", "list", (), "names"),
    ),
)


def test_defaults_are_filled_in() -> None:
    assert validate(PART, {}, "p") == {
        "text": "a",
        "count": 3,
        "share": 0.5,
        "flag": False,
        "file": None,
        "names": [],
    }


def test_values_get_the_declared_type() -> None:
    given = {"share": 1, "file": "~/x", "names": ["я"], "text": "beta"}
    options = validate(PART, given, "p")
    assert isinstance(options["share"], float)
    assert options["file"] == Path.home() / "x"
    assert options["names"] == ["я"]
    assert options["text"] == "beta"


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"tex": "a"}, "p.tex: 'part' has no such option", "did you mean 'text'?"),
        ({"zzz": 1}, "p.zzz: 'part' has no such option", "known: text, count"),
        ({"text": "alpa"}, "p.text: expected one of alpha, beta; got 'alpa'", "'alpha'"),
        ({"text": 1}, "p.text: expected a text, got 1", "a text"),
        ({"count": "3"}, "p.count: expected an integer, got '3'", "a count"),
        ({"count": 1.5}, "p.count: expected an integer, got 1.5", "a count"),
        ({"count": True}, "p.count: expected an integer, got True", "a count"),
        ({"count": -1}, "p.count: expected at least 0, got -1", "a count"),
        ({"count": 10}, "p.count: expected at most 9, got 10", "a count"),
        ({"share": "x"}, "p.share: expected a number, got 'x'", "a share"),
        ({"flag": 1}, "p.flag: expected true or false, got 1", "a flag"),
        ({"file": 1}, "p.file: expected a path, as text, got 1", "a file"),
        ({"names": "a"}, "p.names: expected a list of texts, got 'a'", "names"),
        ({"names": [1]}, "p.names: expected a list of texts, got [1]", "names"),
    ],
)
def test_faults(given: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(PART, given, "p")
    assert caught.value.message == message
    assert hint in (caught.value.hint or "")


def test_all_faults_are_found() -> None:
    found = find_option_problems(PART, {"count": -1, "zzz": 1, "flag": "x"})
    assert [problem.option for problem in found] == ["count", "zzz", "flag"]
