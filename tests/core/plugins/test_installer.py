"""Installing for real: pip, the manifest, and what is left after an interruption."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from oss.plugins.scaffold import write_plugin

from .conftest import build_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Venv

pytestmark = pytest.mark.slow


@pytest.fixture
def fresh(venv: Venv) -> Venv:
    """The environment with an empty home and no plugin in it."""
    shutil.rmtree(venv.home)
    venv.home.mkdir()
    return venv


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("пакет")
    return build_wheel(write_plugin("count-words", "tool", folder), folder)


def manifest(venv: Venv) -> str:
    file = venv.home / "config" / "plugins.toml"
    return file.read_text(encoding="utf-8") if file.exists() else ""


def names(venv: Venv, *options: str) -> dict[str, str]:
    rows = json.loads(venv.run("oss", "plugins", "list", "--json", *options).stdout)
    return {row["name"]: row["state"] for row in rows if row["state"] != "built in"}


def test_install_sync_uninstall(fresh: Venv, wheel: Path) -> None:
    done = fresh.run("oss", "plugins", "install", wheel)
    assert done.stdout == "oss-count-words 0.1.0: count-words\n"
    assert names(fresh) == {"count-words": "installed"}
    assert str(wheel) in manifest(fresh)

    # What an upgrade of oss into a new environment does:
    fresh.run("python", "-m", "pip", "uninstall", "-q", "-y", "oss-count-words")
    listed = fresh.run("oss", "plugins", "list")
    assert "1 remembered, but not installed here: oss plugins sync" in listed.stderr
    assert names(fresh, "--all") == {"count-words": "missing"}
    shown = fresh.run("oss", "plugins", "show", "count-words", check=False)
    assert (shown.returncode, "hint: oss plugins sync" in shown.stderr) == (3, True)
    assert fresh.run("oss", "plugins", "sync", "--dry-run").stdout == f"{wheel}\n"
    assert names(fresh) == {}
    assert "oss-count-words 0.1.0" in fresh.run("oss", "plugins", "sync").stdout
    assert names(fresh) == {"count-words": "installed"}
    assert "nothing is missing" in fresh.run("oss", "plugins", "sync").stderr

    fresh.run("oss", "plugins", "uninstall", "count-words")
    assert names(fresh, "--all") == {}
    assert "oss-count-words" not in manifest(fresh)


def test_editable(fresh: Venv, tmp_path: Path) -> None:
    folder = write_plugin("edited", "persona", tmp_path)
    fresh.run("python", "-m", "pip", "install", "-q", "editables")
    installed = fresh.run("oss", "plugins", "install", "-e", folder)
    assert "edited" in installed.stdout
    assert "editable = true" in manifest(fresh)
    fresh.run("python", "-m", "pip", "uninstall", "-q", "-y", "oss-edited")
    fresh.run("oss", "plugins", "sync")
    source = folder / "src" / "oss_edited" / "__init__.py"
    source.write_text(source.read_text().replace('"A persona for oss."', '"Правится на месте."', 1))
    assert "Правится на месте." in fresh.run("oss", "plugins", "show", "edited").stdout
    fresh.run("oss", "plugins", "uninstall", "oss-edited")


def test_a_failed_install_changes_nothing(fresh: Venv, tmp_path: Path, wheel: Path) -> None:
    broken = tmp_path / "broken-1.0-py3-none-any.whl"
    broken.write_bytes(b"not a zip")
    done = fresh.run("oss", "plugins", "install", wheel, broken, check=False)
    assert done.returncode == 1
    assert "error: pip could not install" in done.stderr
    assert "Traceback" not in done.stderr
    assert names(fresh, "--all") == {}


def test_sync_goes_on_after_a_failure(fresh: Venv, wheel: Path) -> None:
    fresh.run("oss", "plugins", "install", wheel)
    fresh.run("python", "-m", "pip", "uninstall", "-q", "-y", "oss-count-words")
    file = fresh.home / "config" / "plugins.toml"
    lost = '[[plugin]]\ndistribution = "oss-lost"\nrequirement = "/no/such/oss_lost.whl"\n'
    file.write_text(lost + file.read_text(encoding="utf-8"), encoding="utf-8")
    done = fresh.run("oss", "plugins", "sync", check=False)
    assert done.returncode == 1
    assert "error: 1 of 2 could not be installed: oss-lost" in done.stderr
    assert names(fresh, "--all") == {"count-words": "installed", "oss-lost": "missing"}
    assert "forgotten" in fresh.run("oss", "plugins", "uninstall", "oss-lost").stdout
    fresh.run("oss", "plugins", "uninstall", "count-words")


def test_a_package_without_plugins_is_said_so(fresh: Venv) -> None:
    done = fresh.run("oss", "plugins", "install", "iniconfig")
    assert "'iniconfig' has no plugin for oss" in done.stderr
    assert "iniconfig" not in manifest(fresh)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["uninstall", "llamacpp"], 2, "is a part of oss itself"),
        (["uninstall", "oss-workbench"], 2, "is a part of oss itself"),
        (["uninstall", "nothing"], 2, "no plugin 'nothing' is installed"),
        (["uninstall", "pytest"], 2, "no plugin 'pytest' is installed"),
        (["install"], 2, "name at least one package"),
        (["install", "./not-here"], 2, "there is nothing at 'not-here'"),
        (["install", "--", "--index-url=http://x"], 2, "is not a package"),
        (["show", "nothing"], 3, "no plugin 'nothing' is installed"),
        (["new", "Big Name"], 2, "cannot name a plugin"),
        (["new", "../escape"], 2, "cannot name a plugin"),
    ],
)
def test_bad_input(fresh: Venv, words: list[str], code: int, message: str) -> None:
    done = fresh.run("oss", "plugins", *words, check=False)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_manifest_is_named_before_anything_is_done(fresh: Venv, wheel: Path) -> None:
    file = fresh.home / "config" / "plugins.toml"
    file.parent.mkdir()
    for text in ("[[plugin", "plugin = 3", "[[plugin]]\nname = 'x'"):
        file.write_text(text)
        done = fresh.run("oss", "plugins", "install", wheel, check=False)
        assert done.returncode == 3
        assert str(file) in done.stderr
        assert file.read_text() == text
    file.unlink()
    assert names(fresh, "--all") == {}


def test_a_second_installer_waits_its_turn(fresh: Venv, wheel: Path) -> None:
    hold = (
        "import sys, time; from oss.plugins.manifest import locked\n"
        "with locked(): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [fresh.path / "bin" / "python", "-c", hold],
        env={"OSS_HOME": str(fresh.home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        done = fresh.run("oss", "plugins", "install", wheel, check=False)
        assert done.returncode == 8
        assert "another oss is installing plugins" in done.stderr
        assert names(fresh, "--all") == {}
    finally:
        holder.communicate(b"")
    fresh.run("oss", "plugins", "install", wheel)
    fresh.run("oss", "plugins", "uninstall", "count-words")


def test_ctrl_c_leaves_manifest_and_environment_in_step(fresh: Venv, wheel: Path) -> None:
    """Interrupted wherever it is, what is installed is what is remembered."""
    for delay in (0.3, 1.2, 2.4):
        running = subprocess.Popen(
            [fresh.path / "bin" / "oss", "plugins", "install", wheel],
            env={"OSS_HOME": str(fresh.home), "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        time.sleep(delay)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGINT)
        _, errors = running.communicate(timeout=60)
        assert running.returncode in (0, 130), errors.decode()
        state = names(fresh, "--all").get("count-words", "absent")
        assert state in ("installed", "absent"), state
        assert (state == "installed") == ("oss-count-words" in manifest(fresh))
        if state == "installed":
            fresh.run("oss", "plugins", "uninstall", "count-words")
