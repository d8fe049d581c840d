"""Writes LoRA adapters for the starter model: of noise, or of nothing."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

from oss.testing.gguf_file import F32, write_gguf

if TYPE_CHECKING:
    from pathlib import Path

LAYERS, WIDTH, RANK = 30, 576, 4


def write_lora(
    path: Path, *, strength: float, architecture: str = "llama", width: int = WIDTH, seed: int = 1
) -> Path:
    """A LoRA on the attention outputs; ``strength`` 0 writes zeros, .1 changes every answer."""
    shapes = {}
    for layer in range(LAYERS):
        name = f"blk.{layer}.attn_output.weight"
        shapes[f"{name}.lora_a"] = ((width, RANK), F32)
        shapes[f"{name}.lora_b"] = ((RANK, width), F32)
    values = {
        "general.architecture": architecture,
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": float(RANK),
    }
    write_gguf(path, values, shapes)
    if strength:
        count = LAYERS * 2 * width * RANK
        draw = random.Random(seed)
        numbers = (draw.gauss(0, strength) for _ in range(count))
        data = path.read_bytes()
        path.write_bytes(data[: -4 * count] + struct.pack(f"<{count}f", *numbers))
    return path
