"""``oss model convert``: make the missing form of a model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from oss.cli import complete

if TYPE_CHECKING:
    from oss.contracts.model import Format


@click.command()
@click.argument("ref", shell_complete=complete.models)
@click.option(
    "--to", "wanted", required=True, type=click.Choice(["hf", "gguf"]), help="The form to make."
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="Of the weights that are written; float32 keeps every bit of the source.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def convert(ref: str, wanted: Format, dtype: str, as_json: bool) -> None:
    """Make another form of a model, so that another engine can open it.

    A GGUF file becomes a Hugging Face folder (for vllm, transformers and training) through
    transformers. The result is kept with the model under its name: a profile moves from
    llamacpp to vllm by changing backend.name.
    """
    from oss.models import resolve_model
    from oss.models.convert import convert_model
    from oss.plugins.manager import load_plugins

    def say(text: str) -> None:
        click.echo(text, err=True)

    plugins = load_plugins()
    found = resolve_model(ref, plugins)
    made = convert_model(found, wanted, plugins, dtype=dtype, say=say)
    path = made.form(wanted)
    if as_json:
        row = {"name": made.name, "ref": made.ref, "format": wanted, "path": str(path)}
        click.echo(json.dumps(row, ensure_ascii=False, indent=2))
    else:
        click.echo(str(path))
