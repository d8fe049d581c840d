"""Checks, exports and imports of adapters, each result loaded again and compared."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from oss.adapters.card import GGUF, PEFT_WEIGHTS, Card, ResultCard, damage, write_card
from oss.adapters.fit import check_fit, describe_base
from oss.adapters.peft_folder import method_name, read_settings, start_in_base
from oss.adapters.registry import staged
from oss.adapters.training import trainable_form
from oss.contracts.errors import CapabilityError, ModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from oss.adapters.registry import Adapter
    from oss.contracts.adapter import AdapterForm, AdapterMethod, Verified
    from oss.contracts.model import LocalModel
    from oss.plugins.manager import Plugins

    Say = Callable[[str], None]

LEAST_AGREEMENT = 0.9
"""Below this the forms of an adapter do different things. A wrong order of the rows of q and k
gives .97 on an F16 base and less on others; quantised bases alone give .97 to .998."""


def verify_adapter(
    adapter: Adapter, plugins: Plugins, *, model: str | None, say: Say
) -> dict[str, Any]:
    """Check files, fit, effect, and the agreement of its forms; what was found.

    :raises ModelError: any of it fails.
    """
    if wrong := damage(adapter.folder, adapter.card):
        raise ModelError(f"adapter '{adapter.name}': {wrong[0]}")
    base = base_model(adapter, plugins, model)
    if warning := check_fit(adapter.name, adapter.card.base, base):
        say(f"warning: {warning}")
    folder, base = trainable_form(base, plugins, say)
    verified = method_of(adapter, plugins).verify(adapter.folder, folder)
    report: dict[str, Any] = {
        "files": f"{len(adapter.card.files)} whole",
        "base": base.name,
        "tensors": verified.tensors,
        "change of logits": round(verified.change, 5),
    }
    if adapter.gguf is not None and (gguf := base.form("gguf")) is not None:
        report["agreement of the GGUF form"] = _agreement(adapter, base, gguf, folder, plugins, say)
    return report


def _agreement(
    adapter: Adapter, base: LocalModel, gguf: Path, folder: Path, plugins: Plugins, say: Say
) -> float | str:
    from oss.adapters.compare import agreement

    offers = plugins.offers("backends")
    if not {"llamacpp", "transformers"} <= offers.keys():
        return "not compared: needs the backends llamacpp and transformers"
    say("asking both engines the same prompts")
    found = asyncio.run(
        agreement(
            adapter,
            replace(base, format="gguf", path=gguf),
            replace(base, format="hf", path=folder),
            plugins,
        )
    )
    if found < LEAST_AGREEMENT:
        raise ModelError(
            f"adapter '{adapter.name}': its GGUF form does something else than its PEFT form "
            f"(agreement {found:.3f})",
            hint=f"`oss adapter export {adapter.name} --to gguf` makes it anew",
        )
    return round(found, 4)


def base_model(adapter: Adapter, plugins: Plugins, name: str | None = None) -> LocalModel:
    """The model that the adapter was made for, or the one that is named.

    :raises ModelError: it is not here.
    """
    from oss.models import resolve_model

    base = adapter.card.base
    return resolve_model(name or base.name or base.ref, plugins)


def method_of(adapter: Adapter, plugins: Plugins) -> AdapterMethod:
    """The method that made the adapter."""
    method: AdapterMethod = plugins.load("adapters", adapter.card.method)()
    return method


def export_adapter(
    adapter: Adapter, plugins: Plugins, form: AdapterForm, output: Path | None, *, say: Say
) -> tuple[Path, Verified]:
    """Carry an adapter to a form; where it was written, and how it was found to act.

    :raises UsageError: a merged model needs an output.
    """
    if output is None and form != "gguf":
        raise UsageError(f"where is the {form} form to be written?", hint="--output PATH")
    base = base_model(adapter, plugins)
    method = method_of(adapter, plugins)
    if form not in method.forms:
        raise CapabilityError(
            f"a '{adapter.card.method}' adapter has no form '{form}'",
            hint=f"it has: {', '.join(sorted(method.forms))}",
        )
    if form == "merged-gguf":
        source = base.form("gguf")
        if source is None:
            raise ModelError(f"'{base.name}' has no GGUF form to merge into")
    else:
        source, base = trainable_form(base, plugins, say)
    if output is not None:
        return output, method.export(adapter.folder, source, form, output)
    target = adapter.folder / GGUF
    fresh = target.with_name(f".fresh-{GGUF}")
    fresh.unlink(missing_ok=True)
    verified = method.export(adapter.folder, source, form, fresh)
    fresh.replace(target)
    write_card(adapter.folder, adapter.card)
    return target, verified


def as_axolotl(adapter: Adapter, plugins: Plugins) -> str:
    """The recipe that the adapter was made by, as Axolotl takes it.

    :raises CapabilityError: the card holds none: it was made elsewhere, or has no counterpart.
    """
    from oss.adapters.axolotl import axolotl_yaml
    from oss.adapters.recipe import Recipe

    card = adapter.card
    if "objective" not in card.recipe:
        raise CapabilityError(
            f"adapter '{adapter.name}' was made elsewhere: its card holds no recipe",
            hint="`oss train --axolotl` writes the recipe of a profile",
        )
    recipe = Recipe.from_plain(card.recipe, plugins.find("adapters", card.method))
    base = base_model(adapter, plugins)
    folder = base.form("hf")
    rows = card.data.rows + card.data.held_out
    return axolotl_yaml(
        adapter.name,
        recipe,
        str(folder) if folder else base.ref,
        card.data.files,
        card.data.held_out / max(1, rows),
    )


def import_adapter(
    path: Path, name: str, model: str, plugins: Plugins, *, replace_old: bool, say: Say
) -> Adapter:
    """Take in a PEFT folder after it was seen to fit its base and to do something.

    :raises UsageError: it is no PEFT folder.
    :raises ModelError: it does not fit, or does nothing.
    """
    from oss.models import resolve_model

    if not (path / PEFT_WEIGHTS).is_file():
        pickled = (path / "adapter_model.bin").exists()
        raise UsageError(
            f"{path} has no {PEFT_WEIGHTS}",
            hint="it is kept as a pickle, which can run code: save it anew with safetensors"
            if pickled
            else "give the folder of a PEFT adapter",
        )
    settings = read_settings(path)
    if start := start_in_base(settings):
        raise CapabilityError(
            f"{path} holds a '{start}' adapter as it is trained, which changes the base too",
            hint="save it with `path_initial_model_for_weight_conversion`, as PEFT's guide says",
        )
    made_by = method_name(settings)
    method: AdapterMethod = plugins.load("adapters", made_by)()
    found = resolve_model(model, plugins)
    with staged(name, replace=replace_old) as (folder, finish):
        for file in ("adapter_config.json", PEFT_WEIGHTS):
            shutil.copyfile(path / file, folder / file)
        base, found = trainable_form(found, plugins, say)
        verified = method.verify(folder, base)
        if "gguf" in method.forms:
            try:
                method.export(folder, base, "gguf", folder / GGUF)
            except CapabilityError as error:
                say(f"no GGUF form: {error.message}")
        return finish(
            Card(
                name=name,
                method=made_by,
                created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                base=describe_base(found),
                recipe={
                    key: settings[key]
                    for key in ("r", "lora_alpha", "target_modules", "target_parameters")
                    if settings.get(key)
                },
                result=ResultCard(change=verified.change),
            )
        )
