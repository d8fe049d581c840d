"""``oss tui``: the command line of the screen."""

from __future__ import annotations

from typing import Any

import click

from oss.cli.complete import models as complete_models
from oss.cli.complete import personas as complete_personas
from oss.cli.complete import profiles as complete_profiles
from oss.contracts.errors import ConfigError, UsageError


@click.command()
@click.option(
    "-p",
    "--profile",
    metavar="NAME",
    shell_complete=complete_profiles,
    help="A profile's name or file.",
)
@click.option("-c", "--continue", "go_on", is_flag=True, help="Go on with the last conversation.")
@click.option("--conversation", type=int, metavar="ID", help="Go on with this conversation.")
@click.option(
    "--persona", metavar="NAME", shell_complete=complete_personas, help="A persona's name or file."
)
@click.option(
    "-m",
    "--model",
    metavar="NAME",
    shell_complete=complete_models,
    help="A model's name, path or reference.",
)
@click.option("--backend", metavar="NAME", help="An engine's name.")
@click.option(
    "--adapter",
    "adapters",
    multiple=True,
    metavar="PATH[:SCALE]",
    help="Load an adapter; may be repeated.",
)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set table.key=value of the profile; may be repeated.",
)
@click.option("-n", "--no-log", is_flag=True, help="Keep nothing of what is said.")
def tui(
    go_on: bool, conversation: int | None, no_log: bool, adapters: Any, sets: Any, **given: Any
) -> int:
    """Chat on a full screen: conversations, the chat, and what each turn did.

    Keys and theme are read from tui.toml in the configuration folder; F1 shows them.
    """
    import sys

    from oss.turn.choices import Choices

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("oss tui needs a terminal", hint='oss run "your question"')
    try:
        from oss_plugins.tui.app import OssApp, Start
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] != "textual":
            raise
        raise ConfigError(
            "oss tui needs textual, which is not installed",
            hint="pip install 'oss-workbench[tui]'",
        ) from error
    from oss_plugins.tui.settings import read_settings

    choices = Choices(adapters=tuple(adapters), sets=tuple(sets), **given)
    app = OssApp(Start(choices, conversation, go_on, keep=not no_log), read_settings())
    app.run()
    return app.return_code or 0
