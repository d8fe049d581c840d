"""Writes PEFT folders for models of the Llama family: LoRA of noise, or of nothing."""

from __future__ import annotations

import json
import random
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RANK = 4


def write_peft_lora(folder: Path, base: Path, *, strength: float, seed: int = 1) -> Path:
    """A LoRA on the attention outputs; ``strength`` 0 writes zeros, .1 changes every answer."""
    model = json.loads((base / "config.json").read_text(encoding="utf-8"))
    layers, width = model["num_hidden_layers"], model["hidden_size"]
    folder.mkdir(parents=True)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(base),
        "r": RANK,
        "lora_alpha": RANK,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": ["o_proj"],
        "inference_mode": True,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    shapes = {}
    for layer in range(layers):
        name = f"base_model.model.model.layers.{layer}.self_attn.o_proj"
        shapes[f"{name}.lora_A.weight"] = (RANK, width)
        shapes[f"{name}.lora_B.weight"] = (width, RANK)
    draw = random.Random(seed)
    tensors = {
        name: [draw.gauss(0, strength) for _ in range(a * b)] for name, (a, b) in shapes.items()
    }
    write_safetensors(folder / "adapter_model.safetensors", shapes, tensors)
    return folder


def write_safetensors(
    path: Path, shapes: Mapping[str, tuple[int, ...]], tensors: Mapping[str, list[float]]
) -> None:
    """float32 tensors in the format of https://github.com/huggingface/safetensors#format."""
    header: dict[str, Any] = {}
    at = 0
    for name, shape in shapes.items():
        size = 4 * len(tensors[name])
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for name in shapes:
            file.write(struct.pack(f"<{len(tensors[name])}f", *tensors[name]))
