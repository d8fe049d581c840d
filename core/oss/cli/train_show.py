"""What ``oss train`` prints before anything is trained: recipe, plan, methods."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from oss.adapters.recipe import Recipe
    from oss.adapters.training import Prepared
    from oss.contracts.adapter import TrainPlan
    from oss.plugins.manager import Plugins


def print_recipe(recipe: Recipe, *, as_json: bool) -> None:
    """Every setting, with the source of each default, as a profile has it."""
    if as_json:
        click.echo(
            json.dumps(
                {"train": recipe.plain(), "sources": dict(recipe.sources)},
                ensure_ascii=False,
                indent=2,
            )
        )
        return
    import tomlkit

    table = tomlkit.table()
    plain = recipe.plain()
    for key, value in plain.items():
        if isinstance(value, dict):
            inner = tomlkit.table()
            for name, each in value.items():
                inner.add(name, _with_source(each, recipe.sources.get(f"{key}.{name}")))
            for name, source in recipe.sources.items():
                if name.startswith(f"{key}.") and name.partition(".")[2] not in value:
                    inner.add(tomlkit.comment(f"{name.partition('.')[2]}: {source}"))
            table[key] = inner
        else:
            table.add(key, _with_source(value, recipe.sources.get(key)))
    document = tomlkit.document()
    document["train"] = table
    click.echo(tomlkit.dumps(document), nl=False)


def _with_source(value: Any, source: str | None) -> Any:
    import tomlkit

    item = tomlkit.item(value)
    return item.comment(source) if source else item


def print_plan(
    prepared: Prepared, plan: TrainPlan, seconds: float | None = None, *, as_json: bool
) -> None:
    """What a run would take.

    :param seconds: as a few timed steps say, or ``None`` where none were timed.
    """
    from dataclasses import asdict

    for notice in plan.notices:
        click.echo(notice, err=True)
    if as_json:
        known = {**asdict(plan), "seconds": seconds}
        click.echo(json.dumps(known, ensure_ascii=False, indent=2))
        return
    from oss.cli.tables import print_table
    from oss.cli.train_progress import duration
    from oss.models import machine_memory

    settings = prepared.job.settings
    share = plan.trainable / plan.parameters
    machine = machine_memory()
    free = machine.gpu_available or machine.available
    rows = [
        ("base", f"{prepared.model.name}, {plan.parameters:,} parameters"),
        ("method", f"{prepared.recipe.method}, objective {prepared.recipe.objective}"),
        ("learns", f"{plan.trainable:,} parameters ({share:.2%})"),
        ("examples", f"{len(prepared.job.rows)}, held out {len(prepared.job.held_out)}"),
        ("tokens", f"{plan.tokens:,} a pass, {plan.learned_tokens:,} of them learned"),
        ("longest", f"{plan.longest:,} tokens"),
        ("steps", f"{plan.steps}, {plan.epochs:.1f} passes"),
        ("batch", f"{settings.batch} x {settings.accumulation}"),
        (
            "memory",
            f"about {plan.memory / 2**30:.1f} GiB" + (f" of {free / 2**30:.1f}" * (free > 0)),
        ),
        (
            "time",
            "--timed loads the model and times a few steps"
            if seconds is None
            else f"about {duration(seconds)}, by a few timed steps",
        ),
    ]
    print_table(("plan", ""), rows)


def print_methods(plugins: Plugins, *, as_json: bool) -> None:
    """The methods and their options."""
    offers = plugins.offers("adapters")
    if as_json:
        click.echo(
            json.dumps(
                [
                    {
                        "name": name,
                        "summary": offer.descriptor.summary,
                        "options": {
                            option.name: {"default": option.default, "help": option.help}
                            for option in offer.descriptor.options
                        },
                    }
                    for name, offer in offers.items()
                ],
                ensure_ascii=False,
                indent=2,
            )
        )
        return
    from oss.cli.tables import print_table

    print_table(
        ("method", "what it does", "options"),
        [
            (name, o.descriptor.summary, ", ".join(p.name for p in o.descriptor.options))
            for name, o in offers.items()
        ],
    )
