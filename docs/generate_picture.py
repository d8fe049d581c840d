"""Writes docs/terminal.svg from a real run in a real (pseudo-)terminal.

    python docs/generate_picture.py

Needs the starter model (`oss model pull starter`) and the package pexpect.
"""

from __future__ import annotations

import io
from pathlib import Path

import pexpect
from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).with_name("terminal.svg")
WIDTH = 92
COMMANDS = (
    ["profile", "list"],
    ["run", "--profile", "coder", "--seed", "3", "What does a mutex do? Answer in two sentences."],
)


def typed(words: list[str]) -> str:
    """A command as a person would type it."""
    return "oss " + " ".join(f'"{word}"' if " " in word else word for word in words)


def run(words: list[str]) -> str:
    """What one command prints to a terminal, colours included."""
    child = pexpect.spawn(
        "oss", words, dimensions=(40, WIDTH), encoding="utf-8", timeout=300, env=None
    )
    child.expect(pexpect.EOF)
    return str(child.before).replace("\r\n", "\n").rstrip("\n")


def main() -> None:
    """Run the commands and draw the screen."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for words in COMMANDS:
        console.print(Text("$ ", style="bold green") + Text(typed(words), style="bold"))
        console.print(Text.from_ansi(run(words)))
        console.print()
    console.save_svg(str(PICTURE), title="oss")


if __name__ == "__main__":
    main()
