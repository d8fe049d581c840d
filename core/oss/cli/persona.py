"""``oss persona``: list, show, write and check personas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from oss.cli.complete import personas as complete_personas

if TYPE_CHECKING:
    from oss.persona.find import FoundPersona
    from oss.plugins.manager import Plugins


@click.group()
def persona() -> None:
    """List, show and write personas."""


@persona.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, as_json: bool) -> None:
    """List personas: nearest file of each name, then those of plugins."""
    import json

    from oss.persona import list_personas
    from oss.plugins.manager import load_plugins

    rows = [
        {
            "name": found.name,
            "summary": _summary(found),
            "place": found.place,
            "path": str(found.path) if found.path else None,
        }
        for found in list_personas(load_plugins())
    ]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    from oss.cli.tables import print_table

    print_table(
        ("name", "place", "summary"),
        [(str(row["name"]), str(row["place"]), str(row["summary"])) for row in rows],
    )


def _summary(found: FoundPersona) -> str:
    from oss.contracts.errors import ConfigError

    try:
        return found.summary
    except ConfigError as error:
        return f"broken: {error.message}"


@persona.command()
@click.argument("name", shell_complete=complete_personas)
@click.option("--var", "pairs", multiple=True, metavar="NAME=VALUE", help="Value of a variable.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, *, pairs: tuple[str, ...], as_json: bool) -> None:
    """Show what the model gets to read under persona NAME (or file), and where it is from."""
    import json
    from dataclasses import asdict

    from oss.persona import persona_messages
    from oss.persona.find import load_persona, locate_persona
    from oss.plugins.manager import load_plugins

    plugins = load_plugins()
    found = locate_persona(name, plugins)
    shown = load_persona(found, plugins)
    messages = persona_messages(shown, dict(_pair(pair) for pair in pairs))
    sampling = {k: v for k, v in asdict(shown.sampling).items() if v not in (None, ())}
    if as_json:
        text = {
            "name": shown.name,
            "summary": shown.summary,
            "place": found.place,
            "path": str(found.path) if found.path else None,
            "messages": [{"role": m.role, "content": m.content} for m in messages],
            "sampling": sampling,
            "effort": shown.effort,
            "variables": dict(shown.variables),
        }
        click.echo(json.dumps(text, ensure_ascii=False, indent=2))
        return
    about = [
        ("persona", f"{shown.name}: {shown.summary}" if shown.summary else shown.name),
        ("from", str(found.path or found.place)),
        ("sampling", ", ".join(f"{key} {value}" for key, value in sampling.items())),
        ("effort", shown.effort or ""),
        ("variables", ", ".join(f"{key} = {value}" for key, value in shown.variables.items())),
    ]
    for label, value in about:
        if value:
            click.echo(f"{label + ':':<10} {value}")
    for message in messages:
        click.echo(f"\n[{message.role}]\n{message.content}")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--var '{text}': expected name=value")
    return name, value


@persona.command()
@click.argument("name")
@click.option("--system", help="The system text; 'You are NAME.' if left out.")
@click.option("--summary", help="One line for the list.")
@click.option("--markdown", is_flag=True, help="Write Markdown: the text below front matter.")
@click.option("--here", is_flag=True, help="Write to ./.oss/personas, for this folder's work.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def new(
    name: str, *, system: str | None, summary: str | None, markdown: bool, here: bool, force: bool
) -> None:
    """Write persona NAME: a file with every key explained, ready to edit."""
    from pathlib import Path

    from oss import paths
    from oss.contracts.errors import ConfigError
    from oss.persona.write import new_persona_text
    from oss.profile.toml_file import show_path
    from oss.profile.write import check_name, write_new

    name = check_name(name)
    folder = (Path.cwd() / ".oss" if here else paths.config_dir()) / "personas"
    path = folder / f"{name}{'.md' if markdown else '.toml'}"
    twin = path.with_suffix(".toml" if markdown else ".md")
    if twin.exists():
        raise ConfigError(
            f"{show_path(twin)} exists already", hint="two files of one name hide each other"
        )
    given = {("system",): system, ("summary",): summary}
    text = new_persona_text(
        name, {key: value for key, value in given.items() if value}, markdown=markdown
    )
    write_new(path, text, force=force)
    click.echo(path)
    click.echo(f"hint: oss persona show {name}", err=True)


@persona.command()
@click.argument("names", nargs=-1, shell_complete=complete_personas)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(names: tuple[str, ...], *, as_json: bool) -> int:
    """Check personas (names or files; all if none is named). Exits with 3 if one has a fault."""
    import json

    from oss.persona import list_personas
    from oss.persona.find import locate_persona
    from oss.plugins.manager import load_plugins

    plugins = load_plugins()
    chosen = [locate_persona(n, plugins) for n in names] if names else list_personas(plugins)
    results = [(found, *_faults(found, plugins)) for found in chosen]
    if as_json:
        rows = [
            {
                "name": found.name,
                "path": str(found.path) if found.path else None,
                "problems": [{"message": text, "hint": hint} for text, hint in faults],
                "needs": sorted(needs),
            }
            for found, faults, needs in results
        ]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        for found, faults, needs in results:
            if not faults:
                wants = f" (a profile must give: {', '.join(sorted(needs))})" if needs else ""
                click.echo(f"{found.name}: ok{wants}")
            for text, hint in faults:
                click.echo(text)
                if hint:
                    click.echo(f"  hint: {hint}")
    return 3 if any(faults for _, faults, _ in results) else 0


def _faults(found: FoundPersona, plugins: Plugins) -> tuple[list[tuple[str, str | None]], set[str]]:
    """All faults of a persona with their hints, and the variables it has no value for."""
    from oss.contracts.errors import ConfigError
    from oss.persona.file import check_file, problem_error
    from oss.persona.find import load_persona
    from oss.persona.render import needed_variables

    try:
        if found.path is not None:
            file, problems = check_file(found.path)
            if problems:
                errors = [problem_error(problem, file) for problem in problems]
                return [(error.message, error.hint) for error in errors], set()
        return [], needed_variables(load_persona(found, plugins))
    except ConfigError as error:
        return [(error.message, error.hint)], set()
