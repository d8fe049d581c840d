"""``oss tui``: the command line of the screen."""

from __future__ import annotations

from typing import Any

import click

from oss.cli.talk_options import talk_options
from oss.contracts.errors import ConfigError, UsageError


@click.command()
@talk_options
def tui(
    go_on: bool, conversation: int | None, no_log: bool, adapters: Any, sets: Any, **given: Any
) -> int:
    """Chat on a full screen: conversations, the chat, and what each turn did.

    Keys and theme are read from tui.toml in the configuration folder; F1 shows them.
    """
    import gc
    import sys

    from oss.turn.choices import Choices

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("oss tui needs a terminal", hint='oss run "your question"')
    gc.disable()  # until the first picture is there: nothing that is made before it is garbage
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
