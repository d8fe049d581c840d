"""The options of a talk with a model: those that ``oss run`` and ``oss tui`` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from oss.cli.complete import models, personas, profiles

if TYPE_CHECKING:
    from collections.abc import Callable

Function = TypeVar("Function", bound="Callable[..., Any]")

OPTIONS = (
    click.option(
        "-p",
        "--profile",
        metavar="NAME",
        shell_complete=profiles,
        help="A profile's name or file.",
    ),
    click.option(
        "-c", "--continue", "go_on", is_flag=True, help="Go on with the last conversation."
    ),
    click.option("--conversation", type=int, metavar="ID", help="Go on with this conversation."),
    click.option(
        "--persona", metavar="NAME", shell_complete=personas, help="A persona's name or file."
    ),
    click.option(
        "-m",
        "--model",
        metavar="NAME",
        shell_complete=models,
        help="A model's name, path or reference.",
    ),
    click.option("--backend", metavar="NAME", help="An engine's name."),
    click.option(
        "--adapter",
        "adapters",
        multiple=True,
        metavar="PATH[:SCALE]",
        help="Load an adapter; may be repeated.",
    ),
    click.option(
        "--set",
        "sets",
        multiple=True,
        metavar="KEY=VALUE",
        help="Set table.key=value of the profile; may be repeated.",
    ),
    click.option("-n", "--no-log", is_flag=True, help="Keep nothing of this conversation."),
)


def talk_options(command: Function) -> Function:
    """Give a command the options ``profile``, ``go_on``, ``conversation``, ``persona``, ``model``,
    ``backend``, ``adapters``, ``sets`` and ``no_log``; its own follow them, where it is decorated
    with them below this.
    """
    for option in reversed(OPTIONS):
        command = option(command)
    return command
