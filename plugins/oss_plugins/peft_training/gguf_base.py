"""A base model's GGUF file: what its header says, and a copy with some weights changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from oss.contracts.errors import CapabilityError, ModelError
from oss_plugins.peft_training.gguf_adapter import ARCHITECTURES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Keys that the writer sets by itself.
_OWN = {"GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.architecture"}


def base_config(reader: Any) -> dict[str, Any]:
    """What a ``config.json`` would say, as far as names and the order of rows need it.

    :raises CapabilityError: an architecture whose rows' order is not known here.
    """
    architecture = str(_value(reader, "general.architecture"))
    kinds = [kind for kind, (name, _) in ARCHITECTURES.items() if name == architecture]
    if not kinds:
        raise CapabilityError(f"adapters are not merged into '{architecture}' GGUF files")
    return {
        "model_type": kinds[0],
        "num_hidden_layers": _value(reader, f"{architecture}.block_count"),
        "num_attention_heads": _value(reader, f"{architecture}.attention.head_count"),
        "num_key_value_heads": _value(reader, f"{architecture}.attention.head_count_kv"),
        "num_local_experts": _value(reader, f"{architecture}.expert_count"),
    }


def _value(reader: Any, key: str) -> Any:
    field = reader.get_field(key)
    return field.contents() if field else None


def copy_with(reader: Any, target: Path, deltas: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write the file of ``reader`` to ``target`` with the deltas added.

    :raises ModelError: a delta has no tensor.
    """
    import gguf

    known = {tensor.name for tensor in reader.tensors}
    if homeless := sorted(deltas.keys() - known):
        raise ModelError(f"the base has no tensor '{homeless[0]}'")
    writer = gguf.GGUFWriter(str(target), str(_value(reader, "general.architecture")))
    try:
        for name, field in reader.fields.items():
            if name in _OWN:
                continue
            kind = field.types[0]
            part = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), kind, sub_type=part)
        for tensor in reader.tensors:
            if tensor.name in deltas:
                writer.add_tensor(tensor.name, _changed(tensor, deltas[tensor.name]))
            else:
                writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _changed(tensor: Any, delta: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Weight and delta, in F16 where the base was packed.

    Weights of a packed base lie on its grid: a delta of less than half a step is rounded away,
    and the merged model would be the base.
    """
    import gguf

    weights = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
    exact = tensor.tensor_type == gguf.GGMLQuantizationType.F32
    changed: np.ndarray[Any, Any] = weights + delta
    return changed.astype(np.float32 if exact else np.float16)


def alike(old: Any, new: Any, deltas: Mapping[str, np.ndarray[Any, Any]]) -> tuple[float, float]:
    """Mean change of the changed tensors, and the lowest correlation of the change that is there
    with the one that should be.

    :raises ModelError: a tensor that should not have changed did, or one is missing.
    """
    import gguf

    before = {tensor.name: tensor for tensor in old.tensors}
    after = {tensor.name: tensor for tensor in new.tensors}
    if before.keys() != after.keys():
        raise ModelError("the copy has other tensors than the base")
    changes, worst = [], 1.0
    for name, tensor in after.items():
        if name not in deltas:
            if not np.array_equal(tensor.data, before[name].data):
                raise ModelError(f"'{name}' was not copied as it is")
            continue
        was = gguf.quants.dequantize(before[name].data, before[name].tensor_type)
        now = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        changes.append(float(np.abs(deltas[name]).mean()))
        worst = min(worst, float(np.corrcoef((now - was).ravel(), deltas[name].ravel())[0, 1]))
    return sum(changes) / len(changes), worst
