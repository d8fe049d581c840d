"""The program itself: a name that is no command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oss.cli.main import COMMANDS, ELSEWHERE

if TYPE_CHECKING:
    from oss.testing.program import OssCli


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("rnu", "no command 'rnu'; did you mean 'oss run'?"),
        ("pull", "no command 'pull'; did you mean 'oss model pull'?"),
        ("qqqq", "no command 'qqqq'"),
    ],
)
def test_an_unknown_command_gets_the_nearest(oss_cli: OssCli, typed: str, line: str) -> None:
    done = oss_cli.run(typed, "starter").failed(2)
    assert done.stderr.splitlines()[-1] == f"Error: {line}"


@pytest.mark.parametrize("words", sorted(set(ELSEWHERE.values())))
def test_what_is_meant_instead_is_there(oss_cli: OssCli, words: str) -> None:
    assert words.split()[0] in COMMANDS
    assert oss_cli.run(*words.split(), "--help").ok().stdout.startswith(f"Usage: oss {words} ")
