"""Which model a profile gets here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oss.contracts.errors import ConfigError, ModelError
from oss.models.catalogue import load_catalogue
from oss.models.facts import inspect_model
from oss.models.memory import estimate_memory, least_context, machine_memory
from oss.models.resolve import resolve_model
from oss.models.text import size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from oss.contracts.model import CatalogueEntry, Format, LocalModel
    from oss.plugins.manager import Plugins
    from oss.profile.schema import ModelTable


_NOT_HERE = "is not here"


@dataclass(frozen=True)
class Choice:
    """The model to open, why, and what was passed over.

    :ivar skipped: ``(name, why)`` of the models preferred before this one.
    """

    model: LocalModel
    reason: str
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def passed_over(self) -> str:
        """What was preferred and why it was not taken, in a few words; empty where nothing was."""
        return _grouped(self.skipped)


def _nothing() -> int:
    return 0


def choose_model(
    table: ModelTable,
    plugins: Plugins,
    formats: Collection[Format] | None = None,
    lent: Callable[[], int] = _nothing,
) -> Choice:
    """``table.name``, else the first of ``table.prefer`` that is here and fits in memory.

    :param formats: the forms that the backend can open; ``None``: any.
    :param lent: bytes of memory that others hold and give back when it is needed; asked when
        something does not fit without them.
    :raises ModelError: none is here, or the named one is broken or does not fit.
    """
    if table.name:
        model = resolve_model(table.name, plugins)
        if why := _obstacle(model, table, formats, lent):
            raise ModelError(f"model '{table.name}' {why}", hint=_way_out(why))
        return Choice(model, "named by the profile or the command line")
    if not table.prefer:
        raise ConfigError(
            "the profile names no model",
            hint="set model.name or model.prefer, or pass --model starter",
        )
    skipped: list[tuple[str, str]] = []
    for name in table.prefer:
        try:
            model = resolve_model(name, plugins)
            why = _obstacle(model, table, formats, lent)
        except ModelError as error:
            why = _absent(error)
        if why is None:
            reason = "first of model.prefer" + (" that is here and fits" if skipped else "")
            return Choice(model, reason, tuple(skipped))
        skipped.append((name, why))
    raise ModelError(
        f"no model of the profile can be used: {_grouped(skipped)}",
        hint=_best_pull(table, plugins, [name for name, why in skipped if why == _NOT_HERE]),
    )


def _grouped(skipped: Sequence[tuple[str, str]]) -> str:
    """``a, b: not here; c: needs 62 GB, 23 GB are free``."""
    names: dict[str, list[str]] = {}
    for name, why in skipped:
        names.setdefault(why.removeprefix("is "), []).append(name)
    return "; ".join(f"{', '.join(group)}: {why}" for why, group in names.items())


def _absent(error: ModelError) -> str:
    if error.hint and error.hint.startswith("oss model pull"):
        return _NOT_HERE
    return f"is not usable: {error.message}"


def _obstacle(
    model: LocalModel,
    table: ModelTable,
    formats: Collection[Format] | None,
    lent: Callable[[], int],
) -> str | None:
    """Why this model cannot be opened here, or ``None``; the words follow its name."""
    if formats is not None and model.format not in formats and not (set(model.forms) & {*formats}):
        return f"is in the form '{model.format}', and the backend opens {', '.join(formats)}"
    path = model.path
    if path is None or not table.check_memory:
        return None
    facts = inspect_model(path)
    wanted = min(table.context, facts.context_length or table.context)
    need = estimate_memory(facts, wanted or least_context(facts))
    if machine_memory(gpu=False).holds(need):  # asking the GPU costs more than reading a file
        return None
    memory = machine_memory()
    memory = replace(memory, available=min(memory.available + lent(), memory.total))
    if memory.holds(need):
        return None
    return f"needs {size_text(need.total)}, {size_text(memory.usable)} are free"


def _way_out(why: str) -> str | None:
    if not why.startswith("needs"):
        return None
    return (
        "take a smaller model (oss model list), a smaller model.context, "
        "or try all the same: --set model.check_memory=false"
    )


def _best_pull(table: ModelTable, plugins: Plugins, absent: list[str]) -> str:
    """What gets a person going: the smallest to fetch, and the most preferred that would fit."""
    catalogue = load_catalogue(plugins)
    room = machine_memory().usable
    sizes = {name: catalogue[name].size for name in absent if name in catalogue}
    fitting = [name for name, size in sizes.items() if 0 < size * 1.1 < room]
    if fitting:
        smallest = min(fitting, key=sizes.__getitem__)
        hint = f"oss model pull {smallest} ({size_text(sizes[smallest])})"
        if fitting[0] != smallest:
            hint += f", or the better {fitting[0]} ({size_text(sizes[fitting[0]])})"
        return hint
    if absent:
        return f"oss model pull {absent[-1]}"
    return "name another: --model starter" if "starter" not in table.prefer else "oss model list"


def fetchable(table: ModelTable, plugins: Plugins) -> tuple[CatalogueEntry, ...]:
    """Models that the profile would take, that are not here and would fit, best first: what a
    person without a model may fetch.
    """
    catalogue = load_catalogue(plugins)
    room = machine_memory().usable
    found = []
    for name in dict.fromkeys(filter(None, (table.name, *table.prefer))):
        entry = catalogue.get(name)
        if entry is None or (entry.size and entry.size * 1.1 >= room):
            continue
        try:
            resolve_model(name, plugins)
        except ModelError:
            found.append(entry)
    return tuple(found)
