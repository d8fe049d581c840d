"""Third-party packages, built as wheels and run against the built core in a clean environment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from oss.plugins.scaffold import PARTS, write_plugin

from .conftest import ROOT, build_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Venv

pytestmark = pytest.mark.slow
ECHO = ROOT / "plugins_contrib" / "oss-echo"


def test_echo(venv: Venv, tmp_path: Path) -> None:
    wheel = build_wheel(ECHO, tmp_path)
    venv.run("oss", "plugins", "install", wheel)
    rows = json.loads(venv.run("oss", "plugins", "list", "--json").stdout)
    assert {"name": "echo", "distribution": "oss-echo"}.items() <= rows[-1].items()
    words = ("oss", "run", "-n", "--model", "echo:any", "--set", "backend.name=echo")
    assert venv.run(*words, "Привет, hello").stdout == "Привет, hello\n"
    # Its own tests, from a folder where only the installed package can be imported.
    done = venv.run(
        "pytest", "-q", "--rootdir", tmp_path, ECHO / "tests", "-c", ECHO / "pyproject.toml"
    )
    assert " passed" in done.stdout
    venv.run("oss", "plugins", "uninstall", "echo")
    rows = json.loads(venv.run("oss", "plugins", "list", "--json", "--all").stdout)
    assert "echo" not in {row["name"] for row in rows}


@pytest.mark.parametrize("kind", PARTS)
def test_a_new_plugin_passes_its_own_test(venv: Venv, tmp_path: Path, kind: str) -> None:
    folder = write_plugin(f"my-{kind}", kind, tmp_path)
    wheel = build_wheel(folder, tmp_path)
    venv.run("python", "-m", "pip", "install", "-q", wheel)
    done = venv.run("pytest", "-q", cwd=folder)
    assert " passed" in done.stdout
    shown = json.loads(venv.run("oss", "plugins", "show", f"my-{kind}", "--json").stdout)
    assert [offer["problem"] for offer in shown[0]["offers"]] == [None]
    assert shown[0]["warnings"] == []
    venv.run("python", "-m", "pip", "uninstall", "-q", "-y", f"oss-my-{kind}")
