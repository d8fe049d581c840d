"""From what the user wrote to a model that can be opened."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from oss.contracts.errors import ModelError
from oss.models.catalogue import load_catalogue
from oss.models.forms import with_forms
from oss.models.refs import as_path, split_ref

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.contracts.model import LocalModel, ModelSource
    from oss.plugins.manager import Plugins


def source_for(scheme: str, plugins: Plugins) -> ModelSource:
    """The source of a scheme.

    :raises ConfigError: unknown, or a library it needs is not installed.
    """
    source: ModelSource = plugins.load("model_sources", scheme)()
    return source


def expand_ref(text: str, plugins: Plugins) -> tuple[str, tuple[str, ...]]:
    """The name to show, and the full references to look for, best first.

    :raises ModelError: neither a short name, nor a reference, nor a path.
    """
    schemes = plugins.offers("model_sources")
    if split_ref(text, schemes):
        return text, (text,)
    catalogue = load_catalogue(plugins)
    if text in catalogue:
        refs = []
        for ref in catalogue[text].refs:
            path = None if split_ref(ref, schemes) else as_path(ref)
            refs.append(f"file:{path}" if path else ref)
        return text, tuple(refs)
    if path := as_path(text):
        return text, (f"file:{path}",)
    raise _unknown(text, [*catalogue], [*schemes])


def resolve_model(ref: str, plugins: Plugins) -> LocalModel:
    """The model that ``ref`` (short name, path, ``scheme:rest``) means, if it is here.

    Asks no network.

    :raises ModelError: unknown, broken, or not here; the hint has the command that fetches it.
    :raises ConfigError: its source needs something that is not installed.
    """
    name, refs = expand_ref(ref, plugins)
    for full in refs:
        parts = split_ref(full, plugins.offers("model_sources"))
        if parts is None:
            raise ModelError(
                f"'{name}' stands for '{full}', which is neither a path nor a reference",
                hint="references start with " + ", ".join(_spelled(plugins)),
            )
        if found := source_for(parts[0], plugins).find(parts[1]):
            return with_forms(dataclasses.replace(found, name=name))
    raise ModelError(f"model '{name}' is not here", hint=f"oss model pull {name}")


def list_models(plugins: Plugins) -> list[LocalModel]:
    """Every model on this machine, by short name where it has one."""
    from oss.contracts.errors import OssError

    here: dict[str, LocalModel] = {}
    names: dict[str, str] = {}
    for name in load_catalogue(plugins):
        try:
            model = resolve_model(name, plugins)
        except OssError:
            continue
        here[str(model.path)] = model
        names[str(model.path)] = name
    for scheme in plugins.offers("model_sources"):
        for model in source_for(scheme, plugins).list():
            here.setdefault(str(model.path), model)
    return sorted(here.values(), key=lambda m: (str(m.path) not in names, m.name))


def remove_model(model: LocalModel, plugins: Plugins) -> int:
    """Delete a fetched model; returns the bytes freed.

    :raises ModelError: it is not ours to delete.
    :raises BusyError: another process is fetching it.
    :raises StorageError: it cannot be deleted.
    """
    scheme, _, rest = model.ref.partition(":")
    return source_for(scheme, plugins).remove(rest)


def _spelled(plugins: Plugins) -> list[str]:
    return [f"{scheme}:" for scheme in plugins.offers("model_sources")]


def _unknown(text: str, names: Sequence[str], schemes: Sequence[str]) -> ModelError:
    import difflib

    scheme, colon, rest = text.partition(":")
    if colon and rest:
        near = difflib.get_close_matches(scheme, schemes, 1, cutoff=0.5)
        hint = f"did you mean '{near[0]}:{rest}'?" if near else f"known: {', '.join(schemes)}"
        return ModelError(f"unknown kind of model '{scheme}:' in '{text}'", hint=hint)
    near = difflib.get_close_matches(text, names, 1)
    if near:
        hint = f"did you mean '{near[0]}'?"
    elif text.count("/") == 1:
        hint = f"from the Hugging Face hub: hf:{text}; a file: ./{text}"
    else:
        hint = "oss model list shows the names; a path starts with ./"
    return ModelError(f"unknown model '{text}'", hint=hint)
