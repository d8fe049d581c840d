"""The runner starts the real program in a home of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oss import __version__

if TYPE_CHECKING:
    from oss.testing.program import OssCli, OssHome


def test_home_is_isolated(oss_home: OssHome) -> None:
    from oss import paths

    assert paths.config_dir() == oss_home.config
    assert Path.cwd() == oss_home.cwd
    assert not list(oss_home.path.iterdir())


def test_user_variables_are_not_seen(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSS_PLUGINS", "nothing")
    request.getfixturevalue("oss_home")
    assert "OSS_PLUGINS" not in os.environ


def test_runs_the_program(oss_cli: OssCli) -> None:
    outcome = oss_cli.run("--version").ok()
    assert __version__ in outcome.stdout
    assert outcome.stderr == ""


def test_a_failure_shows_everything(oss_cli: OssCli) -> None:
    outcome = oss_cli.run("no-such-command").failed(2)
    with pytest.raises(AssertionError, match=r"no-such-command[\s\S]*--- stderr[\s\S]*Usage"):
        outcome.ok()
