"""``oss plugins`` as users run it, without installing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssCli


@pytest.fixture
def fakes(oss_cli: OssCli) -> OssCli:
    oss_cli.use_fakes()
    return oss_cli


def test_list(fakes: OssCli) -> None:
    lines = fakes.run("plugins", "list").ok().stdout.splitlines()
    assert lines[0].split() == ["name", "distribution", "version", "state", "summary"]
    (row,) = (line for line in lines if line.startswith("fakes"))
    assert row.split()[:4] == ["fakes", "fakes", "1.0", "installed"]
    assert "The fakes as a plugin" in row


def test_list_says_what_is_switched_off(fakes: OssCli) -> None:
    off = {"OSS_PLUGINS": "llamacpp"}
    rows = fakes.run("plugins", "list", "--json", env=off).ok().json()
    assert [row["name"] for row in rows] == ["llamacpp"]
    everything = fakes.run("plugins", "list", "--json", "--all", env=off).ok().json()
    assert {row["name"]: row["state"] for row in everything}["fakes"] == "off"
    none = fakes.run("plugins", "list", env={"OSS_PLUGINS": ""}).ok()
    assert (none.stdout, none.stderr) == ("", "no plugins are in use\n")
    wrong = fakes.run("plugins", "list", env={"OSS_PLUGINS": "faks"}).failed(3)
    assert "OSS_PLUGINS names 'faks', which is not installed" in wrong.stderr


def test_show(fakes: OssCli) -> None:
    text = fakes.run("plugins", "show", "fakes").ok().stdout
    assert "backend fake  answers from a script" in text
    assert "option          context = 0  tokens of context; 0 is 4096" in text
    assert "usable here     yes" in text
    (shown,) = fakes.run("plugins", "show", "fakes", "--json").ok().json()
    assert shown["problem"] is None
    assert {offer["kind"] for offer in shown["offers"]} >= {"backends", "tools", "personas"}
    assert all(offer["problem"] is None for offer in shown["offers"])


def test_show_says_why_not(oss_cli: OssCli) -> None:
    oss_cli.add_plugin("сломан", "import no_such_library", module="broken_module")
    (shown,) = oss_cli.run("plugins", "show", "сломан", "--json").ok().json()
    assert shown["problem"] == "ModuleNotFoundError: No module named 'no_such_library'"
    assert "not usable      ModuleNotFound" in oss_cli.run("plugins", "show", "сломан").stdout


def test_show_says_which_part_does_not_import(oss_cli: OssCli) -> None:
    oss_cli.add_plugin(
        "half",
        """\
        from oss.contracts.descriptors import Descriptor
        from oss.hookspecs import hookimpl

        @hookimpl
        def oss_tools():
            good = Descriptor("good", "", "oss.testing.fakes:FakeTool")
            return [good, Descriptor("bad", "", "lacks:Tool", extra="all")]
        """,
    )
    oss_cli.home.write("site-packages/lacks.py", "import libfoo")
    (shown,) = oss_cli.run("plugins", "show", "half", "--json").ok().json()
    good, bad = shown["offers"]
    assert good["problem"] is None
    assert "needs 'libfoo', which is not installed; pip install 'half[all]'" in bad["problem"]


def test_show_unknown(fakes: OssCli) -> None:
    outcome = fakes.run("plugins", "show", "fake").failed(3)
    assert outcome.stderr == "error: no plugin 'fake' is installed\nhint: did you mean 'fakes'?\n"


def test_new_refuses_what_is_there(oss_cli: OssCli) -> None:
    target = oss_cli.run("plugins", "new", "mine").ok().stdout.strip()
    before = sorted((oss_cli.home.cwd / target).rglob("*"))
    assert "is there already" in oss_cli.run("plugins", "new", "oss-mine").failed(2).stderr
    assert sorted((oss_cli.home.cwd / target).rglob("*")) == before
    assert (
        "Invalid value for '--kind'"
        in oss_cli.run("plugins", "new", "x", "--kind", "spoon").failed(2).stderr
    )


def test_folders_that_cannot_be_written(oss_cli: OssCli) -> None:
    assert "cannot write" in oss_cli.run("plugins", "new", "x", "--in", "/proc").failed(10).stderr
    outcome = oss_cli.run("plugins", "install", "x", env={"OSS_HOME": "/proc/nowhere"}).failed(10)
    assert "cannot be written" in outcome.stderr


def test_a_fake_backend_answers_in_the_program(fakes: OssCli, tmp_path: Path) -> None:
    words = ("run", "--no-log", "--model", "fake:one", "--set", "backend.name=fake")
    assert fakes.run(*words, "Привет").ok().stdout == "Привет\n"
    scripted = fakes.run(*words, "--set", 'backend.fake.answers=["раз", "два"]', "x").ok()
    assert scripted.stdout == "раз\n"
