"""tui.toml: what is refused, and with which words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import ConfigError
from oss_plugins.tui.keys import KEYS
from oss_plugins.tui.settings import read_settings

if TYPE_CHECKING:
    from oss.testing.program import OssCli, OssHome


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('them = "oss-dark"', "tui.toml:1: them: unknown key", "did you mean 'theme'?"),
        ('theme = "oss-darc"', "unknown theme 'oss-darc'", "did you mean 'oss-dark'?"),
        ('[keys]\nnwe = "f6"', "tui.toml:2: keys.nwe: unknown action", "did you mean 'new'?"),
        ('[keys]\nnew = "ctrl+лол"', "there is no key 'ctrl+лол'", ""),
        ('[keys]\nnew = "hyper+n"', "there is no key 'hyper+n'", ""),
        ("[keys]\nnew = 5", "expected keys as a text, got 5", "write"),
        ('[keys]\nnew = "f1"', "keys.new: 'f1' does two things: help and new", "another key: help"),
        ("keys = 1", "keys: expected a table", "[keys]"),
        ("[", "tui.toml", ""),
    ],
)
def test_refused(oss_home: OssHome, text: str, message: str, hint: str) -> None:
    oss_home.write("config/tui.toml", text)
    with pytest.raises(ConfigError) as caught:
        read_settings()
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_taken(oss_home: OssHome) -> None:
    assert read_settings().keys == {}
    oss_home.write("config/tui.toml", 'theme = "nord"\n[keys]\nnew = "ctrl+s, f6"\n')
    assert (read_settings().theme, read_settings().keys) == ("nord", {"new": "ctrl+s,f6"})


def test_the_default_keys_do_not_clash(oss_home: OssHome) -> None:
    oss_home.write("config/tui.toml", f'[keys]\nhelp = "{KEYS["help"].keys}"\n')
    read_settings()


def test_no_terminal(oss_cli: OssCli) -> None:
    outcome = oss_cli.run("tui").failed(2)
    assert "needs a terminal" in outcome.stderr


def test_registration_imports_no_textual(oss_cli: OssCli) -> None:
    import subprocess
    import sys

    code = "import sys, oss_plugins.tui; sys.exit('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert "tui" in oss_cli.run("--help").ok().stdout
