"""``oss plugins``: list, show, install, remove and write plugins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from oss.plugins.manifest import Entry


@click.group()
def plugins() -> None:
    """List, install and write plugins."""


@plugins.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those switched off, and missing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(everything: bool, as_json: bool) -> None:
    """List the installed plugins, importing none of them."""
    from oss.plugins.describe import rows

    found = list(rows())
    shown = [row for row in found if everything or row.state not in ("off", "missing")]
    if as_json:
        click.echo(json.dumps([row._asdict() for row in shown], ensure_ascii=False, indent=2))
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("name", "distribution", "version", "state", "summary"):
            table.add_column(column, no_wrap=column == "name")
        for row in shown:
            table.add_row(*row)
        if shown:
            Console().print(table, markup=False)
        else:
            click.echo("no plugins are in use", err=True)
    absent = sum(row.state == "missing" for row in found)
    if absent:
        click.echo(f"{absent} remembered, but not installed here: oss plugins sync", err=True)


@plugins.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, as_json: bool) -> None:
    """Show what plugin NAME offers, and whether it works here; imports it."""
    from oss.plugins.describe import describe, find_plugins

    facts = [describe(entry_point) for entry_point in find_plugins(name)]
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    for index, about in enumerate(facts):
        click.echo("\n" * bool(index) + _page(about))


def _page(about: dict[str, Any]) -> str:
    lines = [click.style(about["name"], bold=True) + f"  {about['summary']}".rstrip()]
    lines.append(f"  distribution    {about['distribution']} {about['version']}")
    lines.append(f"  module          {about['module']}")
    lines.append(f"  installed from  {about['installed_from']}")
    if about["problem"]:
        lines.append(f"  not usable      {about['problem']}")
    else:
        lines += [f"  warning         {warning}" for warning in about["warnings"]]
    if about["hooks"]:
        lines.append(f"  hooks           {', '.join(about['hooks'])}")
    for offer in about["offers"]:
        kind = offer["kind"].removesuffix("s").replace("_", " ")
        lines += ["", f"{kind} {click.style(offer['name'], bold=True)}  {offer['summary']}"]
        lines.append(f"  target          {offer['target']}")
        lines.append(
            f"  usable here     {'no: ' + offer['problem'] if offer['problem'] else 'yes'}"
        )
        if offer["capabilities"]:
            lines.append(f"  capabilities    {', '.join(offer['capabilities'])}")
        for option in offer["options"]:
            default = json.dumps(option["default"], ensure_ascii=False)
            one_of = f" ({' | '.join(option['choices'])})" if option["choices"] else ""
            lines.append(
                f"  option          {option['name']} = {default}  {option['help']}{one_of}"
            )
    return "\n".join(lines)


@plugins.command()
@click.argument("packages", nargs=-1, metavar="PACKAGE...")
@click.option(
    "-e", "--editable", multiple=True, metavar="PATH", help="A folder to install in place."
)
@click.option("-U", "--upgrade", is_flag=True, help="Take the newest version.")
def install(packages: tuple[str, ...], editable: tuple[str, ...], upgrade: bool) -> None:
    """Install packages with this Python's pip, and remember them for `oss plugins sync`.

    A PACKAGE is whatever pip takes: a name, a name with a version, a path, a URL.
    """
    from oss.plugins.installer import Request
    from oss.plugins.installer import install as pip_install

    requests = [Request.parse(text) for text in packages]
    requests += [Request.parse(path, editable=True) for path in editable]
    if not requests:
        raise click.UsageError("name at least one package")
    done = pip_install(requests, upgrade=upgrade)
    for about in done:
        click.echo(f"{about.name} {about.version}: {', '.join(about.plugins)}")
    for request in requests:
        if not any(request.is_for(about) for about in done):
            click.echo(
                f"warning: '{request.requirement}' has no plugin for oss; "
                "it is installed, but not remembered",
                err=True,
            )


@plugins.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def uninstall(names: tuple[str, ...]) -> None:
    """Remove the packages of plugins, and forget them."""
    from oss.plugins.installer import uninstall as pip_uninstall

    for name in names:
        removed = pip_uninstall(name)
        if removed is None:
            click.echo(f"{name}: was not installed; forgotten")
        else:
            click.echo(f"{removed.name} {removed.version}: removed")


@plugins.command()
@click.option("-n", "--dry-run", is_flag=True, help="Only print what would be installed.")
def sync(dry_run: bool) -> None:
    """Install what is remembered and not here, as after an upgrade of oss."""
    from oss.contracts.errors import OssError
    from oss.plugins.installer import Request, missing
    from oss.plugins.installer import install as pip_install

    absent = missing()
    if not absent:
        click.echo("nothing is missing", err=True)
    failed: list[Entry] = []
    for entry in absent:
        if dry_run:
            click.echo(entry.requirement)
            continue
        try:
            for about in pip_install([Request(entry.requirement, entry.editable)]):
                click.echo(f"{about.name} {about.version}: {', '.join(about.plugins)}")
        except OssError as error:
            click.echo(f"error: {error.message}", err=True)
            failed.append(entry)
    if failed:
        raise OssError(
            f"{len(failed)} of {len(absent)} could not be installed: "
            + ", ".join(entry.distribution for entry in failed),
            hint="mend the cause and run it again, or: oss plugins uninstall NAME",
        )


@plugins.command()
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(["backend", "persona", "tool", "retriever", "embedder", "command"]),
    default="tool",
    show_default=True,
    help="What it offers.",
)
@click.option(
    "--in",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="Where its folder is made; here by default.",
)
def new(name: str, kind: str, folder: Path) -> None:
    """Write a new plugin package oss-NAME, with a test that passes."""
    from oss.plugins.scaffold import write_plugin

    target = write_plugin(name, kind, folder)
    click.echo(target)
    click.echo(
        f"install it in place: oss plugins install -e {target}\n"
        f"run its test:        cd {target} && pip install -e '.[dev]' && pytest",
        err=True,
    )
