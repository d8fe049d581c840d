"""``oss data``: sets of examples, looked at, cleaned and written anew."""

from __future__ import annotations

import click

# name: (module, attribute); a command is imported when it is run.
_COMMANDS = {
    "check": ("data_check", "check"),
    "show": ("data_show", "show"),
    "stats": ("data_stats", "stats"),
    "filter": ("data_filter", "filter_"),
    "convert": ("data_convert", "convert"),
    "dedupe": ("data_convert", "dedupe"),
    "split": ("data_split", "split"),
    "generate": ("data_generate", "generate"),
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [*_COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        from importlib import import_module

        module, attribute = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"oss.cli.{module}"), attribute)
        return command


@click.group(cls=_Commands)
def data() -> None:
    """Check, clean, convert and make sets of examples to train on.

    Files are JSONL, JSON, CSV, Parquet, text, or a folder saved by `datasets`; rows are OpenAI
    messages, prompt and completion, Alpaca, ShareGPT, preference pairs or text. Which one is seen
    from the keys. No file is ever changed: what comes out is a new one.
    """
