"""``oss adapter``: adapters on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from oss.adapters.registry import Adapter


_FORMS = click.Choice(["gguf", "peft", "merged-hf", "merged-gguf", "axolotl"])


@click.group()
def adapter() -> None:
    """List, check, export and merge adapters."""


@adapter.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(as_json: bool) -> None:
    """List the adapters on this machine."""
    from oss.adapters import list_adapters

    found = list_adapters()
    if as_json:
        click.echo(
            json.dumps(
                [
                    {
                        "name": each.name,
                        "method": each.card.method,
                        "base": each.card.base.name,
                        "created": each.card.created,
                        "size": each.size,
                        "gguf": each.gguf is not None,
                        "folder": str(each.folder),
                    }
                    for each in found
                ],
                ensure_ascii=False,
                indent=2,
            )
        )
        return
    if not found:
        click.echo("no adapters yet; `oss train` makes one", err=True)
        return
    from oss.cli.tables import print_table

    print_table(
        ("adapter", "base", "method", "examples", "held-out loss", "size", "made"),
        [
            (
                each.name,
                each.card.base.name,
                each.card.method,
                str(each.card.data.rows),
                _loss(each),
                f"{each.size / 2**20:.0f} MB",
                each.card.created[:10],
            )
            for each in found
        ],
    )


def _loss(found: Adapter) -> str:
    result = found.card.result
    if result.held_out_before is None or result.held_out_after is None:
        return ""
    return f"{result.held_out_before:.2f} -> {result.held_out_after:.2f}"


@adapter.command()
@click.argument("name")
@click.option("--plot", is_flag=True, help="Draw the loss.")
@click.option("--png", type=click.Path(path_type=Path), help="Write a picture of the loss.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, plot: bool, png: Path | None, as_json: bool) -> None:
    """Show the card of an adapter: base, recipe, data, result."""
    import msgspec

    from oss.adapters import find_adapter

    found = find_adapter(name)
    if png is not None:
        from oss.adapters.plots import save_png

        save_png(found, png)
        click.echo(str(png), err=True)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(found.card), ensure_ascii=False, indent=2))
        return
    import tomlkit

    plain = msgspec.to_builtins(found.card)
    click.echo(tomlkit.dumps(_without_empty(plain)), nl=False)
    if plot:
        from oss.adapters.plots import draw

        click.echo()
        click.echo(draw(found))


def _without_empty(value: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_empty(item) if isinstance(item, dict) else item
        for key, item in value.items()
        if item not in (None, "", {}, [], ())
    }


@adapter.command()
@click.argument("name")
@click.option("--model", metavar="NAME", help="The base; the one it was made for if left out.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(name: str, model: str | None, as_json: bool) -> None:
    """Check that an adapter is whole, fits its base, and does something.

    Where it has a GGUF form, the same prompts are asked through llama.cpp and through
    Transformers, and what the adapter changes must agree.
    """
    from oss.adapters import find_adapter
    from oss.adapters.checking import verify_adapter
    from oss.plugins.manager import load_plugins

    report = verify_adapter(
        find_adapter(name), load_plugins(), model=model, say=lambda t: click.echo(t, err=True)
    )
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False, indent=2))
        return
    from oss.cli.tables import print_table

    print_table(("check", "found"), [(key, str(value)) for key, value in report.items()])


@adapter.command()
@click.argument("name")
@click.option("--to", "form", type=_FORMS, required=True, help="The form to make.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write it.")
def export(name: str, form: str, output: Path | None) -> None:
    """Carry an adapter to another form; the result is loaded again and compared.

    gguf: a LoRA file for llama.cpp. merged-hf, merged-gguf: a whole model. peft: a copy of the
    folder. Without --output a GGUF stays with the adapter, where profiles find it. axolotl: the
    recipe as YAML for Axolotl, to train the same on a larger machine; printed without --output.
    """
    if form == "axolotl":
        _export_recipe(name, output)
    else:
        _export(name, form, output)


def _export_recipe(name: str, output: Path | None) -> None:
    from oss.adapters import find_adapter
    from oss.adapters.checking import as_axolotl
    from oss.contracts.errors import UsageError
    from oss.files import write_text
    from oss.plugins.manager import load_plugins

    text = as_axolotl(find_adapter(name), load_plugins())
    if output is None:
        click.echo(text, nl=False)
        return
    if output.exists():
        raise UsageError(f"{output} is already there", hint="give another --output")
    write_text(output, text)
    click.echo(str(output))


@adapter.command()
@click.argument("name")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Where to.")
@click.option("--gguf", is_flag=True, help="A GGUF file in place of a Hugging Face folder.")
def merge(name: str, output: Path, gguf: bool) -> None:
    """Write a whole model with the adapter in its weights."""
    _export(name, "merged-gguf" if gguf else "merged-hf", output)


def _export(name: str, form: str, output: Path | None) -> None:
    from oss.adapters import find_adapter
    from oss.adapters.checking import export_adapter
    from oss.plugins.manager import load_plugins

    path, verified = export_adapter(
        find_adapter(name),
        load_plugins(),
        form,  # type: ignore[arg-type]  # click checked it
        output,
        say=lambda text: click.echo(text, err=True),
    )
    if verified.correlation is not None:
        click.echo(f"agrees with base and adapter: {verified.correlation:.5f}", err=True)
    click.echo(str(path))


@adapter.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("-n", "--name", help="What to call it; the folder's name if left out.")
@click.option("--model", required=True, metavar="NAME", help="The base it was made for.")
@click.option("--replace", is_flag=True, help="Replace the adapter of the same name.")
def import_command(path: Path, name: str | None, model: str, replace: bool) -> None:
    """Take in a PEFT folder that was made elsewhere; it is checked on its base first."""
    from oss.adapters.checking import import_adapter
    from oss.plugins.manager import load_plugins

    made = import_adapter(
        path,
        name or path.resolve().name,
        model,
        load_plugins(),
        replace_old=replace,
        say=lambda text: click.echo(text, err=True),
    )
    click.echo(str(made.folder))


@adapter.command()
@click.argument("one")
@click.argument("two")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def diff(one: str, two: str, as_json: bool) -> None:
    """Say how two adapters differ: recipe, data, result, size of their changes."""
    from oss.adapters import find_adapter
    from oss.adapters.compare import differences

    rows = differences(find_adapter(one), find_adapter(two))
    if as_json:
        click.echo(
            json.dumps(
                {key: {"one": a, "two": b} for key, a, b in rows}, ensure_ascii=False, indent=2
            )
        )
        return
    if not rows:
        click.echo("no difference", err=True)
        return
    from oss.cli.tables import print_table

    print_table(("", one, two), [(key, _short(a), _short(b)) for key, a, b in rows])


def _short(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@adapter.command()
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def rm(name: str, yes: bool) -> None:
    """Delete an adapter and the checkpoints of its training."""
    import sys

    from oss.adapters import find_adapter, remove_adapter
    from oss.contracts.errors import RefusedError

    find_adapter(name)
    if not yes:
        if not sys.stdin.isatty():
            raise RefusedError(f"deleting '{name}' needs a yes", hint="--yes")
        click.confirm(f"Delete the adapter '{name}'?", abort=True, err=True)
    click.echo(f"{remove_adapter(name) / 2**20:.0f} MB freed", err=True)
