"""Which modules and parameters a LoRA changes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformers import PreTrainedModel

# gpt-oss and its kin hold all experts of a layer in one parameter, which is no linear module:
# `all-linear` passes them by without a word.
EXPERTS = ("mlp.experts.gate_up_proj", "mlp.experts.down_proj")
ROUTER = "mlp.router.weight"


@dataclass(frozen=True)
class Targets:
    """Modules by the ends of their names, parameters by theirs, layers by number."""

    modules: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    layers: tuple[int, ...] = ()
    notices: tuple[str, ...] = ()


def find_targets(model: PreTrainedModel, options: Mapping[str, Any], *, plain: bool) -> Targets:
    """The targets that the options ask for, each found in the model.

    :param plain: whether the method is one that can change experts (PEFT: no dropout, no DoRA,
        no PiSSA on parameters).
    :raises UsageError: a target matches nothing, or cannot be combined with the others.
    """
    import torch

    parameters = tuple(name for name, _ in model.named_parameters())
    output = model.get_output_embeddings()
    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not output
    ]
    layers = _layers(model, options["layers"])
    wanted = list(options["targets"]) or sorted({name.rpartition(".")[2] for name in linear})
    modules = [name for name in wanted if any(_ends(found, name) for found in linear)]
    asked = [name for name in wanted if name not in modules]
    found_parameters = [
        name
        for name in asked
        if any(_ends(found, name) for found in parameters) and not name.endswith("_proj.weight")
    ]
    for name in asked:
        if name not in found_parameters:
            known = sorted({n.rpartition(".")[2] for n in linear})
            raise UsageError(
                f"train target '{name}' matches nothing in this model",
                hint=f"linear modules: {', '.join(known)}",
            )
    notices = []
    if not options["targets"]:
        has = [name for name in EXPERTS if any(_ends(found, name) for found in parameters)]
        if has and options.get("experts"):
            if plain and not options["dropout"]:
                found_parameters += has
            else:
                notices.append(
                    "this method, or dropout, cannot change experts: only attention is trained"
                )
        if options.get("router"):
            if not any(_ends(found, ROUTER) for found in parameters):
                raise UsageError("router = true, but this model has no router to train")
            found_parameters.append(ROUTER)
    elif found_parameters and (options["dropout"] or not plain):
        raise UsageError(
            f"'{found_parameters[0]}' is a parameter of experts: it takes plain LoRA without "
            "dropout alone",
            hint='set method = "lora" and dropout = 0',
        )
    if found_parameters and layers:
        # PEFT reads layers_to_transform for modules alone and would train the experts of all.
        prefix = _layer_prefix(model)
        found_parameters = [
            f"{prefix}.{number}.{name}" for name in found_parameters for number in layers
        ]
    return Targets(tuple(modules), tuple(found_parameters), tuple(layers), tuple(notices))


def layer_count(model: PreTrainedModel) -> int:
    """How many layers the model has."""
    return int(model.config.get_text_config().num_hidden_layers)


def _layer_prefix(model: PreTrainedModel) -> str:
    for name, _ in model.named_modules():
        if found := re.fullmatch(r"(.*layers)\.0", name):
            return found[1]
    raise UsageError("this model's layers are not numbered, so none can be chosen")


def _layers(model: PreTrainedModel, given: list[str]) -> list[int]:
    """Numbers, ranges (``10-19``) and counts from the end (``-4``: the last four)."""
    count = layer_count(model)
    chosen: set[int] = set()
    for item in given:
        if match := re.fullmatch(r"(\d+)(?:-(\d+))?", item):
            chosen.update(range(int(match[1]), int(match[2] or match[1]) + 1))
        elif re.fullmatch(r"-\d+", item):
            chosen.update(range(max(0, count + int(item)), count))
        else:
            raise UsageError(
                f"train layers: '{item}' is no layer", hint="write '3', '10-19' or '-4' (last four)"
            )
    if chosen and max(chosen) >= count:
        raise UsageError(f"train layers: there is no layer {max(chosen)}; the last is {count - 1}")
    return sorted(chosen)


def _ends(name: str, end: str) -> bool:
    return name == end or name.endswith(f".{end}")
