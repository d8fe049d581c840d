"""``oss train``: make an adapter from examples."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oss.cli.complete import profiles as complete_profiles

if TYPE_CHECKING:
    from oss.profile.resolve import ResolvedProfile


@click.command()
@click.option(
    "-p",
    "--profile",
    metavar="NAME",
    shell_complete=complete_profiles,
    help="A profile's name or file.",
)
@click.option(
    "-d",
    "--data",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Examples to learn from, in place of the profile's; may be repeated.",
)
@click.option("-n", "--name", metavar="NAME", help="What to call the adapter.")
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set table.key=value of the profile; may be repeated.",
)
@click.option("--resume", is_flag=True, help="Go on where the last run was stopped.")
@click.option("--replace", is_flag=True, help="Replace the adapter of the same name.")
@click.option("--no-use", is_flag=True, help="Leave the profile as it is.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what it would take, and stop.")
@click.option("--timed", is_flag=True, help="Load the model and time a few steps for the plan.")
@click.option("--recipe", "only_recipe", is_flag=True, help="Print every setting, and stop.")
@click.option(
    "--launch", type=int, metavar="N", help="Run N processes through accelerate; 0 only prints."
)
@click.option("--axolotl", is_flag=True, help="Print the recipe as YAML for Axolotl, and stop.")
@click.option("--methods", is_flag=True, help="List the methods and their options, and stop.")
@click.option("--allow-reward", is_flag=True, help="Run the code of train.reward without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def train(
    profile: str | None,
    data: tuple[Path, ...],
    name: str | None,
    sets: tuple[str, ...],
    resume: bool,
    replace: bool,
    no_use: bool,
    only_plan: bool,
    timed: bool,
    only_recipe: bool,
    launch: int | None,
    axolotl: bool,
    methods: bool,
    allow_reward: bool,
    as_json: bool,
) -> int:
    """Make an adapter from examples, and let the profile use it.

    Examples are JSONL, JSON, CSV, Parquet or text, in any usual format. Only the assistant's
    words are learned. Ctrl-C keeps what was learned so far; --resume goes on from it.

    \b
    oss train --profile mine --data examples.jsonl
    oss run --profile mine "Hello"
    """
    from oss.cli.train_show import print_methods, print_plan, print_recipe
    from oss.plugins.manager import load_plugins
    from oss.profile import resolve_profile

    plugins = load_plugins()
    if methods:
        print_methods(plugins, as_json=as_json)
        return 0
    from oss.adapters.training import decide, prepare, use_in_profile
    from oss.adapters.training import train as run_training
    from oss.cli.train_progress import TrainProgress, stop_on_interrupt

    resolved = resolve_profile(profile, sets=sets, plugins=plugins)
    decided = decide(resolved, plugins, data=data, name=name, say=_say)
    if only_recipe:
        print_recipe(decided.recipe, as_json=as_json)
        return 0
    prepared = prepare(decided, resolved, plugins, resume=resume, say=_say)
    if launch is not None:
        from oss.cli.train_launch import launch_training

        arguments = sys.argv[1:]
        if launch and prepared.job.objective == "grpo" and not allow_reward:
            _consent_to_reward(prepared.job.settings.reward)  # once, not in each process
            arguments = [*arguments, "--allow-reward"]
        return launch_training(prepared, resolved.profile.train.parallel, launch, arguments)
    if axolotl:
        from oss.adapters.axolotl import axolotl_yaml

        job, recipe = prepared.job, prepared.recipe
        share = len(job.held_out) / max(1, len(prepared.dataset.rows))
        files = prepared.dataset.files
        click.echo(axolotl_yaml(prepared.name, recipe, str(job.base), files, share), nl=False)
        return 0
    if only_plan and not timed:
        print_plan(prepared, prepared.method.plan(prepared.job), as_json=as_json)
        return 0
    if prepared.job.objective == "grpo" and not allow_reward:
        _consent_to_reward(prepared.job.settings.reward)
    if timed:
        from oss.adapters.timing import seconds_of

        plan = prepared.method.plan(prepared.job)
        _say("loading the model to time a few steps; nothing of them is kept")
        print_plan(prepared, plan, seconds_of(prepared, plan), as_json=as_json)
        return 0
    with TrainProgress() as progress, stop_on_interrupt(progress) as stop:
        trained, adapter = run_training(prepared, progress.report, stop, replace_old=replace)
    if adapter is None and trained.complete:
        return 0  # one of several processes; the first says what came out
    if adapter is None:
        _say(f"stopped after step {trained.steps} of {prepared.job.settings.steps}; saved")
        _say("hint: the same command with --resume goes on from here")
        return 130
    before, after = trained.held_out_before, trained.held_out_after
    if before is not None and after is not None:
        _say(f"loss on held-out examples: {before:.3f} before, {after:.3f} after")
    if sys.stderr.isatty():
        from oss.adapters.plots import draw

        _say(draw(adapter))
    _say(f"adapter '{adapter.name}' in {adapter.folder}")
    if not no_use:
        _use(resolved, adapter.name, use_in_profile)
    if as_json:
        import msgspec

        click.echo(json.dumps(msgspec.to_builtins(adapter.card), ensure_ascii=False, indent=2))
    return 0


def _say(text: str) -> None:
    click.echo(text, err=True)


def _use(resolved: ResolvedProfile, name: str, use_in_profile: Any) -> None:
    from oss.contracts.errors import ConfigError

    try:
        changed = use_in_profile(resolved, name)
    except ConfigError as error:
        _say(f"{error.message}; {error.hint}")
        return
    if changed:
        _say(f"profile '{resolved.name}' uses it now: [[adapter]] was added to {changed}")


def _consent_to_reward(reward: str) -> None:
    from oss.contracts.errors import RefusedError

    if not sys.stdin.isatty():
        raise RefusedError(
            f"the reward {reward} is Python code that would be run, and no one can be asked",
            hint="read it, then --allow-reward; or run this in a terminal",
        )
    click.confirm(f"Run the Python code of {reward} to score answers?", abort=True, err=True)
