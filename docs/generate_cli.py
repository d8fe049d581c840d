"""Writes docs/cli.md from the commands themselves; ``--check`` only compares.

python docs/generate_cli.py            write
python docs/generate_cli.py --check    exit 1 when the page is out of date
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from oss.cli.main import COMMANDS, cli

PAGE = Path(__file__).with_name("cli.md")
HEAD = """# Command reference

Made from the commands by `python docs/generate_cli.py`; do not edit.

Data goes to stdout, everything else to stderr. Exit codes are in [errors.md](errors.md).
"""


def _section(command: click.Command, path: str, parent: click.Context | None) -> list[str]:
    context = click.Context(command, info_name=path.rsplit(" ", 1)[-1], parent=parent)
    context.terminal_width = context.max_content_width = 88
    level = "#" * (path.count(" ") + 1)
    lines = [f"{level} {path}", "", "```text", command.get_help(context).rstrip(), "```", ""]
    if isinstance(command, click.Group) and path != "oss":
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                lines += _section(child, f"{path} {name}", context)
    return lines


def page() -> str:
    """The whole page, built-in commands only: plugins document their own."""
    root = click.Context(cli, info_name="oss")
    lines = [HEAD]
    for name in COMMANDS:
        command = cli.get_command(root, name)
        if command is not None:
            lines += _section(command, f"oss {name}", root)
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    text = page()
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            sys.exit("docs/cli.md is out of date: run python docs/generate_cli.py")
    else:
        PAGE.write_text(text, encoding="utf-8")
