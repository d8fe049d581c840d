"""The program ``oss``: a lazy group, and the one place where errors become text."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from oss import __version__

if TYPE_CHECKING:
    from oss.plugins.offers import Offer

# name: (module:attribute, summary); with the summaries here `oss --help` imports no command.
COMMANDS = {
    "run": ("oss.cli.run:run", "Answer a prompt with a profile, or chat."),
    "profile": ("oss.cli.profile:profile", "List, show, write and check profiles."),
    "persona": ("oss.cli.persona:persona", "List, show and write personas."),
    "docs": ("oss.cli.docs:docs", "Index and search documents."),
    "model": ("oss.cli.model:model", "Fetch, list and inspect models."),
    "data": ("oss.cli.data:data", "Check, clean and make sets of examples."),
    "train": ("oss.cli.train:train", "Make an adapter from examples."),
    "adapter": ("oss.cli.adapter:adapter", "List, check, export and merge adapters."),
    "up": ("oss.cli.warm:up", "Keep models loaded in the background."),
    "ps": ("oss.cli.warm:ps", "List the models that are kept loaded."),
    "down": ("oss.cli.warm:down", "End the background server."),
    "log": ("oss.cli.log:log", "Read, search and export past conversations."),
    "plugins": ("oss.cli.plugins:plugins", "List, install and write plugins."),
    "doctor": ("oss.cli.doctor:doctor", "Say what works on this machine, and why not."),
    "completion": ("oss.cli.completion:completion", "Print the completion script of a shell."),
}

# What people type who come from Ollama, llm or aichat.
ELSEWHERE = {
    "pull": "model pull",
    "list": "model list",
    "models": "model list",
    "chat": "run",
    "prompt": "run",
    "logs": "log list",
    "embed": "docs add",
    "install": "plugins install",
}


class LazyGroup(click.Group):
    """Imports a command when it is run or its own help is asked for."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's; an unknown name gets the nearest one with it."""
        name = args[0]
        if name in COMMANDS or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        if name in (known := self.list_commands(ctx)):
            return super().resolve_command(ctx, args)
        import difflib

        near = [ELSEWHERE[name]] if name in ELSEWHERE else difflib.get_close_matches(name, known, 1)
        end = f"; did you mean '{ctx.info_name} {near[0]}'?" if near else ""
        raise click.UsageError(f"no command '{name}'{end}", ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Built-in commands in the order of the table, then those of plugins."""
        return [*COMMANDS, *_of_plugins()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command's module, or ``None`` where there is no such command.

        :raises ConfigError: a plugin offers it, and it cannot be imported.
        """
        if cmd_name in COMMANDS:
            module, _, attribute = COMMANDS[cmd_name][0].partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
        offer = _of_plugins().get(cmd_name)
        if offer is None:
            return None
        given = offer.load("commands")
        if not isinstance(given, click.Command):
            from oss.contracts.errors import ConfigError

            raise ConfigError(
                f"'{offer.descriptor.target}' of plugin '{offer.plugin}' ({offer.distribution}) "
                "is no click.Command",
                hint="decorate it with @click.command()",
            )
        return given

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The table of commands, from summaries alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])
        if added := _of_plugins():
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(n, offer.descriptor.summary) for n, offer in added.items()])


def _of_plugins() -> dict[str, Offer]:
    """Commands that plugins add; a built-in one of the same name wins."""
    from oss.plugins.commands import plugin_commands

    added = plugin_commands()
    for name in [name for name in added if name in COMMANDS]:
        from oss.plugins.manager import to_stderr

        to_stderr(
            f"plugin '{added[name].plugin}' offers the command '{name}', which oss has; ignored"
        )
        del added[name]
    return added


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="oss")
def cli() -> None:
    """Run, specialise and measure open-weight models: one profile for model, persona,
    documents, tools and adapters.
    """


def main(args: list[str] | None = None) -> Any:
    """Run the program and exit; :class:`oss.contracts.errors.OssError` becomes two lines."""
    from oss.contracts.errors import OssError

    try:
        code = cli.main(args=args, prog_name="oss", standalone_mode=False)
    except click.exceptions.Abort:
        sys.stderr.write("\n")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OssError as error:
        sys.stderr.write(f"error: {error.message}\n")
        if error.hint:
            sys.stderr.write(f"hint: {error.hint}\n")
        sys.exit(error.exit_code)
    sys.exit(code if isinstance(code, int) else 0)
