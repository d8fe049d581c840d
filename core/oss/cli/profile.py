"""``oss profile``: list, show, write, edit and check profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from oss.cli.complete import models as complete_models
from oss.cli.complete import personas as complete_personas
from oss.cli.complete import profiles as complete_profiles

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from oss.profile import FoundProfile, ResolvedProfile


@click.group()
def profile() -> None:
    """List, show, write and check profiles."""


@profile.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, as_json: bool) -> None:
    """List profiles: nearest file of each name."""
    import json

    from oss.profile import list_profiles
    from oss.profile.find import default_name

    default = default_name()
    rows = [
        {
            "name": found.name,
            "description": _description(found),
            "place": found.place,
            "path": str(found.path),
            "default": found.name == default,
            "shadows": [str(path) for path in found.shadows],
        }
        for found in list_profiles()
    ]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    from oss.cli.tables import print_table

    print_table(
        ("name", "place", "description"),
        [
            (
                f"{row['name']} (default)" if row["default"] else str(row["name"]),
                str(row["place"]),
                str(row["description"]),
            )
            for row in rows
        ],
    )


def _description(found: FoundProfile) -> str:
    from oss.contracts.errors import ConfigError

    try:
        return found.description
    except ConfigError as error:
        return f"broken: {error.message}"


@profile.command()
@click.argument("name", required=False, shell_complete=complete_profiles)
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Set table.key=value.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--toml", "as_toml", is_flag=True, help="Print one TOML file with all values.")
def show(name: str | None, *, sets: tuple[str, ...], as_json: bool, as_toml: bool) -> None:
    """Show every value of profile NAME (or file) and where it comes from."""
    from oss.plugins.manager import load_plugins
    from oss.profile import resolve_profile

    if as_json and as_toml:
        raise click.UsageError("--json and --toml exclude each other")
    resolved = resolve_profile(name, sets=sets, plugins=load_plugins())
    if as_json:
        _show_json(resolved)
    elif as_toml:
        from oss.profile.resolve import flatten
        from oss.profile.write import to_toml

        values = [(k, v) for k, v in flatten(resolved.profile) if k != ("extends",)]
        click.echo(to_toml(values), nl=False)
    else:
        _show_table(resolved)


def _show_json(resolved: ResolvedProfile) -> None:
    import json

    from oss.profile.resolve import flatten
    from oss.profile.toml_file import dotted

    values = {}
    for key, value in flatten(resolved.profile):
        origin = resolved.origins[dotted(key)]
        values[dotted(key)] = {
            "value": value,
            "origin": origin.source,
            "line": origin.line,
            "variable": origin.variable,
        }
    text = {
        "name": resolved.name,
        "hash": resolved.hash,
        "files": [str(path) for path in resolved.files],
        "values": values,
    }
    click.echo(json.dumps(text, ensure_ascii=False, indent=2))


def _show_table(resolved: ResolvedProfile) -> None:
    import json

    from oss.cli.tables import print_table
    from oss.profile.resolve import DEFAULT, flatten
    from oss.profile.toml_file import dotted

    rows = []
    for key, value in flatten(resolved.profile):
        origin = resolved.origins[dotted(key)]
        empty = value is None or value in ((), {})
        shown = "-" if empty else json.dumps(value, ensure_ascii=False)
        rows.append((dotted(key), shown, str(origin), origin == DEFAULT))
    print_table(
        ("key", "value", "from"),
        [row[:3] for row in rows],
        dim=[row[3] for row in rows],
    )


@profile.command()
@click.argument("name")
@click.option("--extends", metavar="NAME", help="What it is built on; 'base' if left out.")
@click.option("--model", shell_complete=complete_models, help="The model it runs.")
@click.option("--persona", shell_complete=complete_personas, help="The persona it has.")
@click.option("--description", help="One line for the list.")
@click.option("--here", is_flag=True, help="Write to ./.oss/profiles, for this folder's work.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def new(
    name: str,
    *,
    extends: str | None,
    model: str | None,
    persona: str | None,
    description: str | None,
    here: bool,
    force: bool,
) -> None:
    """Write profile NAME: a file with every key explained, ready to edit."""
    from oss.plugins.manager import load_plugins
    from oss.profile.toml_file import parse_toml
    from oss.profile.validate import check_profile
    from oss.profile.write import check_name, new_profile_text, write_new

    name = check_name(name)
    found = _new_place(name, here=here)
    given = {
        ("extends",): extends or _default_base(found),
        ("description",): description,
        ("model", "name"): model,
        ("persona", "name"): persona,
    }
    text = new_profile_text(name, {key: value for key, value in given.items() if value})
    plugins = load_plugins()
    _refuse(check_profile(found, plugins, parse_toml(text, found.path)))
    write_new(found.path, text, force=force)
    _write_schema(found.path.parent)
    click.echo(found.path)
    click.echo(f"hint: oss profile edit {name}", err=True)


def _new_place(name: str, *, here: bool) -> FoundProfile:
    from pathlib import Path

    from oss import paths
    from oss.profile import FoundProfile

    folder = Path.cwd() / ".oss" if here else paths.config_dir()
    return FoundProfile(name, folder / "profiles" / f"{name}.toml", "project" if here else "user")


def _default_base(found: FoundProfile) -> str:
    """A farther profile of the same name, so that a shipped one can be adapted; else base."""
    from oss.profile import list_profiles

    names = {
        other.name
        for other in list_profiles()
        if any(path != found.path for path in (other.path, *other.shadows))
    }
    return found.name if found.name in names else "base"


def _write_schema(folder: Path) -> None:
    """Beside the profiles lies the schema that their first line names, for editors."""
    import json

    from oss.files import write_text
    from oss.plugins.manager import load_plugins
    from oss.profile.json_schema import profile_schema
    from oss.profile.write import SCHEMA_FILE

    text = json.dumps(profile_schema(load_plugins()), ensure_ascii=False, indent=2)
    write_text(folder / SCHEMA_FILE, text + "\n")


@profile.command("set")
@click.argument("name", shell_complete=complete_profiles)
@click.argument("values", nargs=-1, required=True, metavar="KEY=VALUE...")
def set_(name: str, *, values: tuple[str, ...]) -> None:
    """Set keys in the file of profile NAME; its comments stay.

    \b
    oss profile set mine sampling.temperature=0.2 'model.prefer=["gpt-oss-20b", "starter"]'
    """
    from oss.profile import find_profile
    from oss.profile.overrides import parse_set
    from oss.profile.write import set_keys

    found = find_profile(name)
    _own(found)
    set_keys(found.path, [parse_set(value) for value in values])
    click.echo(f"{found.path}: {len(values)} set", err=True)


@profile.command()
@click.argument("name", shell_complete=complete_profiles)
def edit(name: str) -> None:
    """Open profile NAME in $EDITOR; it is replaced only by a text without faults."""
    from oss.contracts.errors import ConfigError
    from oss.files import write_text
    from oss.plugins.manager import load_plugins
    from oss.profile import find_profile
    from oss.profile.toml_file import parse_toml, read_text, show_path
    from oss.profile.validate import check_profile

    found = find_profile(name)
    _own(found)
    copy = found.path.with_name(f".{found.path.stem}.edit.toml")
    if copy.exists():
        click.echo(f"going on with what was kept in {show_path(copy)}", err=True)
    else:
        write_text(copy, read_text(found.path))
    try:
        click.edit(filename=str(copy))
    except click.ClickException as error:
        copy.unlink()
        raise ConfigError(error.message, hint="set EDITOR to your editor") from error
    text = read_text(copy)
    try:
        findings = check_profile(found, load_plugins(), parse_toml(text, copy))
        _refuse(findings)
    except ConfigError as error:
        raise ConfigError(
            error.message,
            hint=f"{show_path(found.path)} is unchanged; your text is kept in {show_path(copy)}, "
            f"and `oss profile edit {name}` goes on with it",
        ) from error
    if text == read_text(found.path):
        click.echo("unchanged", err=True)
    else:
        write_text(found.path, text)
        click.echo(f"{found.path}: saved", err=True)
    copy.unlink()


def _own(found: FoundProfile) -> None:
    """Refuse to change a profile that belongs to the package.

    :raises ConfigError: it ships with oss.
    """
    from oss.contracts.errors import ConfigError

    if found.place == "shipped":
        raise ConfigError(
            f"profile '{found.name}' ships with oss and is not changed",
            hint=f"oss profile new {found.name}   writes one of your own on top of it",
        )


def _refuse(findings: Iterable[Any]) -> None:
    """Raise the first finding.

    :raises ConfigError: there is one.
    """
    from oss.contracts.errors import ConfigError

    for finding in findings:
        raise ConfigError(str(finding), hint=finding.hint)


@profile.command()
@click.argument("names", nargs=-1, shell_complete=complete_profiles)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(names: tuple[str, ...], *, as_json: bool) -> int:
    """Check profiles (names or files; all if none is named). Exits with 3 if one has a fault."""
    import json
    from dataclasses import asdict

    from oss.plugins.manager import load_plugins
    from oss.profile import find_profile, list_profiles
    from oss.profile.validate import check_profile

    plugins = load_plugins()
    chosen = [find_profile(name) for name in names] if names else list_profiles()
    results = [(found, check_profile(found, plugins)) for found in chosen]
    if as_json:
        rows = [
            {"name": f.name, "path": str(f.path), "problems": [asdict(p) for p in problems]}
            for f, problems in results
        ]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        for found, problems in results:
            if not problems:
                click.echo(f"{found.name}: ok")
            for problem in problems:
                click.echo(str(problem))
                if problem.hint:
                    click.echo(f"  hint: {problem.hint}")
    return 3 if any(problems for _, problems in results) else 0


@profile.command()
def schema() -> None:
    """Print the JSON Schema of a profile, for editors; options of installed plugins included."""
    import json

    from oss.plugins.manager import load_plugins
    from oss.profile.json_schema import profile_schema

    click.echo(json.dumps(profile_schema(load_plugins()), ensure_ascii=False, indent=2))
