"""``oss model``: fetch, list, show and remove models."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click

from oss.cli import complete
from oss.cli.model_convert import convert

if TYPE_CHECKING:
    from oss.contracts.model import CatalogueEntry, LocalModel
    from oss.models import ModelFacts
    from oss.models.memory import MachineMemory, MemoryNeed
    from oss.plugins.manager import Plugins


@click.group()
def model() -> None:
    """Fetch, list and inspect models.

    A model is named by a short name (oss model list), by a path (./x.gguf, or a folder with
    config.json), or in full: hf:owner/repo:Q4_K_M, pypi:distribution==version, file:path,
    ollama:name.
    """


model.add_command(convert)


@model.command()
@click.argument("refs", nargs=-1, required=True, shell_complete=complete.models)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def pull(refs: tuple[str, ...], as_json: bool) -> None:
    """Fetch models; what is here already is left as it is.

    A cut or stopped fetch goes on where it was when the same command is run again.
    """
    from oss.cli.progress import transfer_progress
    from oss.models import pull_model
    from oss.models.text import size_text

    plugins = _plugins()
    pulled = []
    for ref in refs:
        try:
            with transfer_progress() as progress:
                found = pull_model(ref, plugins, progress)
        except KeyboardInterrupt:
            click.echo("stopped: the same command goes on from here", err=True)
            raise
        pulled.append(found)
        if not as_json:
            click.echo(f"{found.name}: {size_text(found.size)} at {found.path}", err=True)
    if as_json:
        click.echo(_json([_row(found, None) for found in pulled]))


@model.command("list")
@click.option("--here", is_flag=True, help="Only models on this machine.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(here: bool, as_json: bool) -> None:
    """List the models on this machine, and the short names that can be fetched."""
    from oss.models import list_models
    from oss.models.catalogue import load_catalogue

    plugins = _plugins()
    catalogue = load_catalogue(plugins)
    rows = [_row(found, catalogue.get(found.name)) for found in list_models(plugins)]
    names = {row["name"] for row in rows}
    if not here:
        rows += [_absent_row(entry) for name, entry in catalogue.items() if name not in names]
    if as_json:
        click.echo(_json(rows))
    elif rows:
        _print_table(rows)
    else:
        click.echo("no models are here: oss model pull starter", err=True)


@model.command()
@click.argument("ref", shell_complete=complete.models)
@click.option("--profile", shell_complete=complete.profiles, help="Take its context.")
@click.option("--context", type=click.IntRange(min=1), help="Count memory for so many tokens.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(ref: str, profile: str | None, context: int | None, as_json: bool) -> None:
    """Show what a model is, the memory it needs, and whether it fits here.

    Without --profile or --context, memory is counted for the longest context that fits.
    """
    from oss.models import (
        estimate_memory,
        fitting_context,
        inspect_model,
        machine_memory,
        resolve_model,
    )

    plugins = _plugins()
    found = resolve_model(ref, plugins)
    if found.path is None:
        raise click.UsageError(f"'{ref}' is not a model on this machine")
    facts = inspect_model(found.path)
    memory = machine_memory()
    if context is None and profile is not None:
        from oss.profile import resolve_profile

        context = resolve_profile(profile, plugins=plugins).profile.model.context
    need = estimate_memory(facts, context or fitting_context(facts, memory))
    if as_json:
        click.echo(_json(_facts_json(found, facts, need, memory)))
    else:
        click.echo(_page(found, facts, need, memory))


@model.command()
@click.argument("ref", shell_complete=complete.models)
def path(ref: str) -> None:
    """Print the path of a model, for other programs."""
    from oss.models import resolve_model

    click.echo(str(resolve_model(ref, _plugins()).path))


@model.command()
@click.argument("ref", shell_complete=complete.models)
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(ref: str, yes: bool) -> None:
    """Delete a fetched model. Your own files and Ollama's are never deleted."""
    import sys

    from oss.contracts.errors import RefusedError
    from oss.models import resolve_model
    from oss.models.resolve import remove_model
    from oss.models.text import size_text

    plugins = _plugins()
    found = resolve_model(ref, plugins)
    if not yes:
        if not sys.stdin.isatty():
            raise RefusedError(f"'{ref}' is deleted only when you say so", hint="add --yes")
        click.confirm(f"Delete {found.path} ({size_text(found.size)})?", abort=True, err=True)
    freed = remove_model(found, plugins)
    click.echo(f"freed {size_text(freed)}", err=True)


def _plugins() -> Plugins:
    from oss.plugins.manager import load_plugins

    plugins = load_plugins()
    for warning in plugins.warnings:
        click.echo(f"warning: {warning}", err=True)
    return plugins


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _row(found: LocalModel, entry: CatalogueEntry | None) -> dict[str, Any]:
    return {
        "name": found.name,
        "here": True,
        "size": found.size,
        "format": found.format,
        "ref": found.ref,
        "path": str(found.path),
        "summary": entry.summary if entry else "",
        "licence": entry.licence if entry else "",
    }


def _absent_row(entry: CatalogueEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "here": False,
        "size": entry.size,
        "format": None,
        "ref": entry.refs[0],
        "path": None,
        "summary": entry.summary,
        "licence": entry.licence,
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    from oss.cli.tables import print_table
    from oss.models.text import size_text

    cells = [
        (
            row["name"],
            "yes" if row["here"] else "no",
            size_text(row["size"]) if row["size"] else "",
            row["summary"] or row["format"],
            row["licence"],
        )
        for row in rows
    ]
    columns = ("name", "here", "size", "what it is", "licence")
    print_table(columns, cells, dim=[not row["here"] for row in rows])


def _facts_json(
    found: LocalModel, facts: ModelFacts, need: MemoryNeed, memory: MachineMemory
) -> dict[str, Any]:
    return {
        "name": found.name,
        "ref": found.ref,
        "path": str(found.path),
        **dataclasses.asdict(facts),
        "knows_tools": facts.knows_tools,
        "knows_reasoning": facts.knows_reasoning,
        "memory": {**dataclasses.asdict(need), "total": need.total},
        "machine": {**dataclasses.asdict(memory), "usable": memory.usable},
        "fits": memory.holds(need),
    }


def _page(found: LocalModel, facts: ModelFacts, need: MemoryNeed, memory: MachineMemory) -> str:
    from oss.models.text import count_text, size_text

    experts = ""
    if facts.experts:
        active = count_text(facts.active_parameters)
        experts = f", {facts.active_experts} of {facts.experts} experts answer a token: {active}"
    template = "none" if not facts.chat_template else "yes"
    if facts.chat_template:
        template += ", with tools" if facts.knows_tools else ", without tools"
        template += ", with reasoning" if facts.knows_reasoning else ", without reasoning"
    fits = f"{size_text(memory.usable)} are free" if memory.total else "this system does not say"
    rows = [
        ("name", facts.name),
        ("reference", found.ref),
        ("path", str(found.path) + (f" and {facts.parts - 1} more" if facts.parts > 1 else "")),
        (
            "architecture",
            f"{facts.architecture}, {facts.layers} layers of {facts.embedding_length}",
        ),
        ("parameters", count_text(facts.parameters) + experts),
        ("quantisation", facts.quantisation or "none"),
        ("heads", f"{facts.heads}, {facts.kv_heads} for keys and values"),
        ("trained context", f"{facts.context_length} tokens"),
        ("chat template", template),
        ("licence", facts.licence or "not said"),
        ("weights", size_text(need.weights)),
        (
            "memory needed",
            f"{size_text(need.total)} with {need.context} tokens of context "
            f"(weights {size_text(need.weights)}, keys and values {size_text(need.kv_cache)}, "
            f"work space {size_text(need.overhead)})",
        ),
        ("fits here", f"{'yes' if memory.holds(need) else 'no'}: {fits}"),
    ]
    lines = [click.style(found.name, bold=True)]
    lines += [f"  {label:<16} {value}" for label, value in rows if value]
    return "\n".join(lines)
