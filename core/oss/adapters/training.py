"""From a profile to a finished adapter: data, base, recipe, training, checks, card."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from oss.adapters.card import GGUF, Card, DataCard, ResultCard
from oss.adapters.fit import check_fit, describe_base
from oss.adapters.recipe import Recipe, resolve_recipe
from oss.adapters.registry import (
    adapters_dir,
    check_name,
    staged,
    training_dir,
)
from oss.adapters.start import find_start, settle
from oss.contracts.adapter import Teacher, TrainJob, TrainNotice
from oss.contracts.errors import CapabilityError, ConfigError, ModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from oss.adapters.registry import Adapter
    from oss.adapters.start import Start
    from oss.contracts.adapter import AdapterMethod, Trained, TrainEvent
    from oss.contracts.model import LocalModel
    from oss.data import Dataset
    from oss.data.rows import Row
    from oss.plugins.manager import Plugins
    from oss.profile.resolve import ResolvedProfile


@dataclass(frozen=True)
class Prepared:
    """A job that is ready to plan or to run."""

    name: str
    model: LocalModel
    method: AdapterMethod
    recipe: Recipe
    job: TrainJob
    dataset: Dataset
    parent: str = ""


@dataclass(frozen=True)
class Decided:
    """What profile and data come to, before the base is opened."""

    name: str
    model: LocalModel
    recipe: Recipe
    dataset: Dataset
    rows: Sequence[Row]
    held_out: Sequence[Row]
    start: Start | None


def decide(
    resolved: ResolvedProfile,
    plugins: Plugins,
    *,
    data: Sequence[Path] = (),
    name: str | None = None,
    say: Callable[[str], None],
) -> Decided:
    """Read the data and decide the recipe; the base is only asked for its context.

    :param data: files in place of the profile's.
    :param say: told what is doubtful about the data.
    :raises OssError: anything that stands in the way.
    """
    from oss.data import read_usable, split
    from oss.data.preflight import preflight
    from oss.models import choose_model, inspect_model

    table = resolved.profile.train
    files = [Path(file) for file in (data or table.data)]
    if not files:
        raise UsageError(
            "there is nothing to learn from",
            hint='give files with --data, or in the profile: [train] data = ["./examples.jsonl"]',
        )
    adapter_name = check_name(name or table.adapter or resolved.name)
    try:
        descriptor = plugins.find("adapters", table.method)
    except ConfigError as error:
        raise ConfigError(
            f"train.method: there is no method '{table.method}'", hint=error.hint
        ) from error
    dataset = read_usable(files)
    judges = read_usable([Path(file) for file in table.held_out]).rows if table.held_out else ()
    for doubt in preflight(dataset.rows, judges):
        say(doubt)
    if judges:
        rows, held_out = list(dataset.rows), list(judges)
    else:
        rows, held_out = split(dataset.rows, table.held_out_share, table.seed)
        if table.held_out_share and not held_out:
            say("nothing is held out: all rows ask the same, or nearly")
    model = choose_model(resolved.profile.model, plugins).model
    if model.path is None:
        raise ModelError(f"'{model.name}' is on a server; only models on this machine are trained")
    start = find_start(table.start) if table.start else None
    if start is not None:
        if warning := check_fit(start.name, start.base, model):
            say(f"warning: {warning}")
        settled = settle(start, table.method, table.options.get(table.method, {}))
        options = {**table.options, table.method: settled}
        table = msgspec.structs.replace(table, options=options)
    recipe = resolve_recipe(table, descriptor, rows, inspect_model(model.path).context_length)
    if table.system == "persona":
        rows, held_out = (_with_persona(part, resolved, plugins) for part in (rows, held_out))
    return Decided(adapter_name, model, recipe, dataset, rows, held_out, start)


def prepare(
    decided: Decided,
    resolved: ResolvedProfile,
    plugins: Plugins,
    *,
    resume: bool = False,
    say: Callable[[str], None],
) -> Prepared:
    """Find the base in the form that is trained, and whatever else a job needs.

    :param say: told what takes time: making the Hugging Face form of a GGUF base.
    :raises OssError: anything that stands in the way, before weights are loaded.
    """
    table, recipe, start = resolved.profile.train, decided.recipe, decided.start
    method: AdapterMethod = plugins.load("adapters", recipe.method)()
    teacher = _teacher(table.teacher, plugins, say) if table.teacher else None
    base, model = trainable_form(decided.model, plugins, say)
    job = TrainJob(
        name=decided.name,
        method=recipe.method,
        objective=recipe.objective,
        base=base,
        rows=decided.rows,
        held_out=decided.held_out,
        settings=recipe.settings,
        options=recipe.options,
        work=training_dir(decided.name),
        out=adapters_dir() / decided.name,
        start=start.folder if start else None,
        resume=resume,
        teacher=teacher,
    )
    parent = start.name if start else ""
    return Prepared(decided.name, model, method, recipe, job, decided.dataset, parent)


def _teacher(name: str, plugins: Plugins, say: Callable[[str], None]) -> Teacher:
    """The model and the adapters of a teacher's profile.

    :raises CapabilityError: one of its adapters cannot be merged into it as it is.
    """
    from oss.adapters.locate import locate
    from oss.models import choose_model
    from oss.profile import resolve_profile

    profile = resolve_profile(name, plugins=plugins).profile
    base, _ = trainable_form(choose_model(profile.model, plugins).model, plugins, say)
    adapters = [locate(table.path, table.name, table.scale) for table in profile.adapter]
    for adapter in adapters:
        if adapter.scale != 1 or not adapter.path.is_dir():
            raise CapabilityError(
                f"the teacher '{name}' has the adapter '{adapter.name}', which is not a folder "
                "at scale 1",
                hint="`oss adapter merge` makes a model of it to name in the teacher's profile",
            )
    return Teacher(base, tuple(adapter.path for adapter in adapters))


def trainable_form(
    model: LocalModel, plugins: Plugins, say: Callable[[str], None]
) -> tuple[Path, LocalModel]:
    """The folder with the Hugging Face form, made from the GGUF form where it is missing."""
    found = model.form("hf")
    if found is None:
        from oss.models.convert import convert_model

        say(f"'{model.name}' is a GGUF file; training needs its Hugging Face form, made once")
        model = convert_model(model, "hf", plugins, say=say)
        found = model.form("hf")
    if found is None:
        raise ModelError(f"'{model.name}' has no form that can be trained")
    return found, model


def _with_persona(rows: Sequence[Row], resolved: ResolvedProfile, plugins: Plugins) -> list[Row]:
    """Conversations without a system text get the profile's, as they will when it is run."""
    from oss.contracts.persona import Persona
    from oss.data import Conversation, Preference, Prompt, Rated
    from oss.persona import find_persona, persona_messages

    table = resolved.profile.persona
    if table.system is not None:
        persona = Persona(name="", system=table.system)
    elif table.name is not None:
        persona = find_persona(table.name, plugins)
    else:
        return list(rows)
    opening = tuple(
        message
        for message in persona_messages(persona, table.variables)
        if message.role == "system"
    )
    result: list[Row] = []
    for row in rows:
        if isinstance(row, Conversation) and row.messages[0].role != "system":
            shifted = frozenset(number + len(opening) for number in row.unlearned)
            result.append(replace(row, messages=(*opening, *row.messages), unlearned=shifted))
        elif isinstance(row, (Preference, Rated, Prompt)) and row.prompt[0].role != "system":
            result.append(replace(row, prompt=(*opening, *row.prompt)))
        else:
            result.append(row)
    return result


def train(
    prepared: Prepared,
    report: Callable[[TrainEvent], None],
    stop: Callable[[], bool],
    *,
    replace_old: bool = False,
) -> tuple[Trained, Adapter | None]:
    """Train, check what came out, and put it in its place; no adapter where it was stopped.

    :raises UsageError: the name is taken.
    :raises ModelError: what came out does nothing, or is not the same when it is loaded again.
    """
    if int(os.environ.get("RANK", "0")):
        # One of several processes: it trains with the others, and the first keeps the result.
        return prepared.method.train(prepared.job, lambda _: None, stop), None
    hint = "make room, then the same command with --resume: what was learned is kept"
    with staged(prepared.name, replace=replace_old, full_hint=hint) as (folder, finish):
        job = replace(prepared.job, out=folder)
        trained = prepared.method.train(job, report, stop)
        if not trained.complete:
            return trained, None
        verified = trained.verified
        if verified is None:
            report(TrainNotice("loading the adapter again to see what it does"))
            verified = prepared.method.verify(folder, job.base)
        if "gguf" in prepared.method.forms:
            try:
                prepared.method.export(folder, job.base, "gguf", folder / GGUF)
            except CapabilityError as error:
                report(TrainNotice(f"no GGUF form: {error.message}"))
        metrics = job.work / "metrics.jsonl"
        if metrics.exists():
            (folder / "metrics.jsonl").write_bytes(metrics.read_bytes())
        card = Card(
            name=prepared.name,
            method=prepared.recipe.method,
            objective=prepared.recipe.objective,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            base=describe_base(prepared.model),
            recipe=json.loads(json.dumps(prepared.recipe.plain())),
            data=DataCard(
                files=prepared.dataset.files,
                rows=len(job.rows),
                held_out=len(job.held_out),
                digest=prepared.dataset.digest,
            ),
            result=ResultCard(
                steps=trained.steps,
                loss=trained.loss,
                held_out_before=trained.held_out_before,
                held_out_after=trained.held_out_after,
                seconds=round(trained.seconds, 1),
                tokens=trained.tokens,
                change=verified.change,
            ),
            versions=dict(trained.versions),
            evaluation={key: round(value, 5) for key, value in trained.evaluation.items()},
            parent=prepared.parent,
        )
        adapter = finish(card)
        prepared.method.finished(prepared.job)
        return trained, adapter


def use_in_profile(resolved: ResolvedProfile, name: str) -> str | None:
    """Add the adapter to the user's profile file, comments kept; its path, or ``None`` where it
    is there already.

    :raises ConfigError: the profile is none of the user's own files.
    """
    from oss.profile.find import find_profile

    if any(table.path == name for table in resolved.profile.adapter):
        return None
    found = find_profile(resolved.name)
    if found.place == "shipped":
        raise ConfigError(
            f"'{resolved.name}' ships with oss and is not changed",
            hint=f"run with `--adapter {name}`, or make your own: `oss profile new mine`",
        )
    import tomlkit

    from oss.files import write_text

    document = tomlkit.parse(found.path.read_text("utf-8"))
    tables: Any = document.setdefault("adapter", tomlkit.aot())
    entry = tomlkit.table()
    entry["path"] = name
    tables.append(entry)
    write_text(found.path, tomlkit.dumps(document))
    return str(found.path)
