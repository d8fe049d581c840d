"""The same recipe for Axolotl, for those who go on to larger machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oss.contracts.errors import CapabilityError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.adapters.recipe import Recipe

_METHODS = {"lora", "rslora", "dora", "pissa", "qlora", "full"}
_RL = {"dpo": "dpo", "ipo": "ipo", "simpo": "simpo"}
_HEAD = """\
# Axolotl reads rows of the form {form}, and nothing is added to them:
# oss data convert FILE --to {form} -o NEW; a persona's text stands in the rows or is not learned.
"""
_FLAGS = {"rslora": "peft_use_rslora", "dora": "peft_use_dora"}


def axolotl_yaml(
    name: str, recipe: Recipe, base: str, files: Sequence[str], held_out: float
) -> str:
    """A configuration for ``axolotl train``.

    Keys as in Axolotl's configuration reference (docs.axolotl.ai); the tests load it with
    Axolotl's own schema.

    :param name: of the adapter, and of the folder that Axolotl writes.
    :param base: the base model: a folder, or a name on the hub.
    :param files: the examples.
    :param held_out: the share of them that is not learned.
    :raises CapabilityError: the method or the objective has no counterpart there, or (KTO, ORPO)
        one that reads no rows with the model's own template.
    """
    import yaml

    settings = recipe.settings
    if recipe.method not in _METHODS:
        raise CapabilityError(f"Axolotl has no method like '{recipe.method}'")
    if recipe.objective not in {"chat", "text", *_RL}:
        raise CapabilityError(f"the objective '{recipe.objective}' is not exported to Axolotl")
    options = recipe.options
    document: dict[str, Any] = {
        "base_model": base,
        "datasets": [_dataset(file, recipe.objective) for file in files],
        "output_dir": f"./{name}",
        "sequence_len": settings.max_length,
        "sample_packing": settings.packing,
        "micro_batch_size": settings.batch,
        "gradient_accumulation_steps": settings.accumulation,
        "max_steps": settings.steps,
        "learning_rate": settings.learning_rate,
        "lr_scheduler": settings.schedule,
        "warmup_steps": round(
            settings.warmup * settings.steps
        ),  # not all of its trainers take a share
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.clip,
        "optimizer": "adamw_torch_fused",
        "bf16": "auto",
        "gradient_checkpointing": settings.checkpointing,
        "seed": settings.seed,
        "train_on_inputs": False,
        "val_set_size": held_out,
    }
    if recipe.objective in _RL:
        document["rl"] = _RL[recipe.objective]
        document["rl_beta"] = settings.beta
    if recipe.method != "full":
        document |= {
            "adapter": "qlora" if recipe.method == "qlora" else "lora",
            "load_in_4bit": recipe.method == "qlora",
            "lora_r": options["r"],
            "lora_alpha": options["alpha"],
            "lora_dropout": options["dropout"],
        }
        if options["targets"]:
            document["lora_target_modules"] = list(options["targets"])
        else:
            document["lora_target_linear"] = True
        if recipe.method in _FLAGS:
            document[_FLAGS[recipe.method]] = True
        if recipe.method == "pissa":
            document["peft_init_lora_weights"] = "pissa"
        if options["plus"] != 1:
            document["loraplus_lr_ratio"] = options["plus"]
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    form = {"chat": "messages", "text": "text"}.get(recipe.objective, "preference")
    return _HEAD.format(form=form) + text


def _dataset(file: str, objective: str) -> dict[str, Any]:
    if objective == "text":
        return {"path": file, "ds_type": "json", "type": "completion"}
    if objective in _RL:
        return {
            "path": file,
            "ds_type": "json",
            "type": "chat_template.default",
            "field_messages": "prompt",
        }
    return {
        "path": file,
        "ds_type": "json",
        "type": "chat_template",
        "field_messages": "messages",
        "roles_to_train": ["assistant"],
        "train_on_eos": "turn",
    }
