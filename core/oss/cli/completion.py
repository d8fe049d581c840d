"""``oss completion``: the script that completes commands, profiles and models in a shell."""

from __future__ import annotations

import click

HELP = {
    "bash": "oss completion bash > ~/.local/share/bash-completion/completions/oss",
    "zsh": 'oss completion zsh > "${fpath[1]}/_oss"',
    "fish": "oss completion fish > ~/.config/fish/completions/oss.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(sorted(HELP)))
def completion(shell: str) -> None:
    """Print the completion script of a shell; save it where the shell looks.

    \b
    bash: oss completion bash > ~/.local/share/bash-completion/completions/oss
    zsh:  oss completion zsh > "${fpath[1]}/_oss"
    fish: oss completion fish > ~/.config/fish/completions/oss.fish
    """
    from click.shell_completion import get_completion_class

    from oss.cli.main import cli

    complete = get_completion_class(shell)
    if complete is None:  # click knows all three; a plugin could have removed one
        raise click.UsageError(f"no completion for '{shell}'")
    click.echo(complete(cli, {}, "oss", "_OSS_COMPLETE").source())
