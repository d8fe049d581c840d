"""Carries an adapter to the forms that engines open; each result is loaded again and compared."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from oss.contracts.adapter import Verified
from oss.contracts.errors import CapabilityError, ModelError
from oss_plugins.peft_training import gguf_adapter

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.adapter import AdapterForm


_ALIKE = 0.95
"""F16 keeps .999 of a usual change; a change that rounding ate, or rows in a wrong order, far
less."""


def export(adapter: Path, base: Path, form: AdapterForm, target: Path) -> Verified:
    """Write ``target`` in the wanted form.

    :param base: the base in its Hugging Face form; for ``merged-gguf`` its GGUF file.
    """
    if target.exists():
        raise CapabilityError(f"{target} is already there", hint="give another --output")
    target.parent.mkdir(parents=True, exist_ok=True)
    if form == "gguf":
        return to_gguf(adapter, base, target)
    if form == "merged-hf":
        return merge(adapter, base, target)
    if form == "merged-gguf":
        return merge_gguf(adapter, base, target)
    shutil.copytree(adapter, target)
    return Verified(change=0.0, tensors=0)


def to_gguf(adapter: Path, base: Path, target: Path) -> Verified:
    """A GGUF LoRA file, in fp32: small, and exact."""
    config = json.loads((base / "config.json").read_text("utf-8"))
    architecture, alpha, pairs = gguf_adapter.convert(adapter, config)
    gguf_adapter.write(target, architecture, alpha, pairs, adapter.name)
    changes = [abs(pair.delta(alpha)).mean() for pair in pairs.values()]
    change = float(sum(changes) / len(changes))
    if not change > 0:
        target.unlink()
        raise ModelError(f"the adapter in {adapter} does nothing: all its changes are zero")
    return Verified(change=change, tensors=2 * len(pairs))


def merge(adapter: Path, base: Path, target: Path) -> Verified:
    """A whole model with the adapter in its weights, compared with base plus adapter.

    :raises ModelError: the merged model, loaded again, answers otherwise.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from oss_plugins.peft_training.base import load_config, load_model, load_tokenizer, quantisation
    from oss_plugins.peft_training.running import quiet
    from oss_plugins.peft_training.verifying import (
        allowed,
        attach,
        correlation,
        distance,
        precision_of,
        probe,
    )
    from oss_plugins.peft_training.whole import WEIGHTS

    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    config = load_config(base)
    with quiet():
        precision = precision_of(base)
        model = load_model(base, precision)
        before = probe(model)
        adapted, tensors = attach(model, adapter, base)
        wanted = probe(adapted)
        whole = adapted if (adapter / WEIGHTS).exists() else merged(adapted)
        # Without this, a base unpacked from MXFP4 is written under names that are read back as
        # random experts.
        packed = {"save_original_format": False} if quantisation(config) else {}
        if packed:
            whole.config.quantization_config = None
            del whole.config.quantization_config
        whole.save_pretrained(part, safe_serialization=True, **packed)
        load_tokenizer(base, config).save_pretrained(part)
        del model, adapted, whole
        again, info = AutoModelForCausalLM.from_pretrained(
            part,
            dtype=torch.float32 if precision == "fp32" else torch.bfloat16,
            local_files_only=True,
            output_loading_info=True,
        )
        lost = sorted(info["missing_keys"]) + sorted(info["unexpected_keys"])
        got = probe(again)
    change, apart = distance(wanted, before), distance(got, wanted)
    if lost or not change > 0 or not apart <= allowed(change, precision):
        shutil.rmtree(part)
        reason = (
            f"'{lost[0]}' was lost" if lost else f"its logits are {apart:.2g} apart of {change:.2g}"
        )
        raise ModelError(f"the merged model is not what base and adapter are: {reason}")
    part.replace(target)
    return Verified(change=change, tensors=tensors, correlation=correlation(wanted, got, before))


def merged(adapted: Any) -> Any:
    """The model with the adapter in its weights, by PEFT.

    :raises CapabilityError: its adapter has no place in weights.
    """
    if not hasattr(adapted, "merge_and_unload"):
        raise CapabilityError("invisible tokens cannot be merged into weights")
    try:
        return adapted.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise ModelError(f"the adapter cannot be merged: {error}") from error


def merge_gguf(adapter: Path, base: Path, target: Path) -> Verified:
    """The base's GGUF file with the changed tensors replaced, in F16 where they were packed.

    :raises ModelError: the file, read again, does not hold the changes.
    """
    import gguf

    from oss_plugins.peft_training.gguf_base import alike, base_config, copy_with
    from oss_plugins.peft_training.gguf_whole import whole_deltas
    from oss_plugins.peft_training.running import quiet

    reader = gguf.GGUFReader(str(base))
    config = base_config(reader)
    if gguf_adapter.has_factors(adapter):
        _, alpha, pairs = gguf_adapter.convert(adapter, config)
        deltas = {name: pair.delta(alpha) for name, pair in pairs.items()}
    else:
        with quiet():
            deltas = whole_deltas(adapter, base, config)
        if not deltas:
            raise ModelError(f"the adapter in {adapter} does nothing: no weight changes")
    part = target.with_name(f".{target.name}.part")
    copy_with(reader, part, deltas)
    change, worst = alike(reader, gguf.GGUFReader(str(part)), deltas)
    if not change > 0 or worst < _ALIKE:
        part.unlink()
        raise ModelError(
            f"the merged file is not what base and adapter are (change {change:.2g}, "
            f"lowest correlation {worst:.3f})"
        )
    part.replace(target)
    return Verified(change=change, tensors=len(deltas), correlation=worst)
