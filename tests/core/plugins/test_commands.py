"""Commands that plugins add to the program."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from oss.testing.program import OssCli

REGISTERS = """
from oss.contracts.descriptors import Descriptor
from oss.hookspecs import hookimpl

print("registered", file=__import__("sys").stderr)

@hookimpl
def oss_commands():
    return [Descriptor("greet", "Говорит привет.", "greet_command:greet")]
"""
COMMAND = """
import click

@click.command()
@click.argument("name")
def greet(name):
    '''Say hello.'''
    click.echo(f"Привет, {name}!")
"""


@pytest.fixture
def greeting(oss_cli: OssCli) -> OssCli:
    oss_cli.add_plugin("greet", REGISTERS)
    oss_cli.home.write("site-packages/greet_command.py", COMMAND)
    return oss_cli


def test_runs(greeting: OssCli) -> None:
    assert greeting.run("greet", "мир").ok().stdout == "Привет, мир!\n"
    assert "Say hello." in greeting.run("greet", "--help").ok().stdout


def test_is_listed_and_imported_once(greeting: OssCli) -> None:
    # pip leaves byte code beside a module; made by the first import, it would change the folder.
    (greeting.home.path / "site-packages" / "__pycache__").mkdir()
    first = greeting.run("--help").ok()
    second = greeting.run("--help").ok()
    assert "Говорит привет." in first.stdout
    assert second.stdout == first.stdout
    assert (first.stderr, second.stderr) == ("registered\n", "")


def test_a_changed_plugin_is_read_again(greeting: OssCli) -> None:
    greeting.run("--help")
    module = greeting.home.write(
        "site-packages/plugin_greet.py", REGISTERS.replace("Говорит привет.", "Says hello.")
    )
    os.utime(module, ns=(1, 1))
    assert "Says hello." in greeting.run("--help").ok().stdout


def test_oss_plugins_switches_it_off(greeting: OssCli) -> None:
    assert "greet" in greeting.run("--help").ok().stdout
    off = {"OSS_PLUGINS": "llamacpp"}
    assert "greet" not in greeting.run("--help", env=off).ok().stdout
    assert "no command 'greet'" in greeting.run("greet", "x", env=off).failed(2).stderr
    assert "greet" in greeting.run("--help", env={"OSS_PLUGINS": "greet"}).ok().stdout


def test_a_built_in_command_wins(oss_cli: OssCli) -> None:
    oss_cli.add_plugin("usurper", REGISTERS.replace('"greet"', '"log"').replace("print", "id #"))
    outcome = oss_cli.run("--help").ok()
    assert outcome.stdout.count("  log ") == 1
    assert outcome.stderr == (
        "warning: plugin 'usurper' offers the command 'log', which oss has; ignored\n"
    )


def test_a_broken_plugin_costs_a_line(greeting: OssCli) -> None:
    greeting.add_plugin("broken", "1 / 0\n")
    for _ in range(2):
        outcome = greeting.run("--help").ok()
        assert "greet" in outcome.stdout
        assert "warning: plugin 'broken' (broken) is not usable: ZeroDivision" in outcome.stderr


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_library", "command 'greet' of plugin 'greet' (greet) needs"),
        ("greet = 1", "is no click.Command"),
        ("", "has no attribute 'greet'"),
    ],
)
def test_a_command_that_cannot_be_loaded(greeting: OssCli, source: str, message: str) -> None:
    greeting.home.write("site-packages/greet_command.py", source)
    outcome = greeting.run("greet", "x").failed(3)
    assert message in outcome.stderr
    assert "hint: " in outcome.stderr


@pytest.mark.parametrize("content", ["{", '{"version": 1, "key": 3, "value": {}}', "[]"])
def test_a_damaged_cache(greeting: OssCli, content: str) -> None:
    shown = greeting.run("--help").ok().stdout
    for file in (greeting.home.cache / "plugins").iterdir():
        file.write_text(content)
    assert greeting.run("--help").ok().stdout == shown
