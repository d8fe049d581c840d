"""The pages: links resolve, commands parse, the Russian README keeps in step."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import click
import pytest

from oss.cli.main import cli
from support.markdown import ROOT, Block, blocks, pages

SEPARATORS = {"|", "||", "&&", ";", "&"}
REDIRECTIONS = {"<", ">", ">>", "2>", "2>&1"}


def commands(block: Block) -> list[list[str]]:
    """The words of every ``oss`` command in a block of shell."""
    console = block.language == "console"
    text = re.sub(r"\\\n\s*", " ", block.body)
    found = []
    for raw in text.splitlines():
        line = raw.removeprefix("$ ") if console else raw
        if console and not raw.startswith("$ "):
            continue
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word in SEPARATORS:
                if words and words[0] == "oss":
                    found.append(words)
                words = []
            else:
                words.append(word)
    return found


def without_redirections(words: list[str]) -> list[str]:
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in REDIRECTIONS:
            skip = True
        else:
            kept.append(word)
    return kept


ALL = [(b, c) for b in blocks("sh", "bash", "console") for c in commands(b)]


@pytest.mark.parametrize(("block", "words"), ALL, ids=[f"{b}-{' '.join(c)[:40]}" for b, c in ALL])
def test_every_command_shown_exists_with_its_options(
    block: Block, words: list[str], tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("OSS_HOME", str(tmp_path))
    monkeypatch.chdir(ROOT)
    arguments = without_redirections(words)[1:]
    command: click.Command = cli
    context = click.Context(cli, info_name="oss")
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        child = command.get_command(context, arguments[0])
        assert child is not None, f"{block}: no command '{' '.join(words)}'"
        command, arguments = child, arguments[1:]
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=command.name, parent=context)
    parser = command.make_parser(context)
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    known |= {"-h", "--help", "--version", "-V"}
    used = [a.split("=")[0] for a in arguments if a.startswith("--") and a != "--"]
    unknown = [name for name in used if name not in known]
    assert parser
    assert not unknown, f"{block}: '{' '.join(words)}' uses {unknown}"


def test_relative_links_lead_somewhere() -> None:
    broken = []
    for page in pages():
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken


def test_the_russian_readme_shows_the_same_commands() -> None:
    def shown(name: str) -> list[str]:
        return [
            b.body for b in blocks("sh", "bash", "console", "toml", "python") if b.page.name == name
        ]

    assert shown("README.ru.md") == shown("README.md")


def test_the_command_reference_is_current(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate_cli.py", "--check"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
