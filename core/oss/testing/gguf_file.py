"""Writes small GGUF files: real headers, no meaning in the weights.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

F32, F16 = 0, 1
_WIDTH = {F32: 4, F16: 2}

TINY: Mapping[str, Any] = {
    "general.architecture": "llama",
    "general.name": "Tiny",
    "general.license": "mit",
    "general.file_type": 1,
    "llama.block_count": 2,
    "llama.context_length": 512,
    "llama.embedding_length": 8,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": [f"t{i}" for i in range(5000)],
    "tokenizer.chat_template": "{{ messages }}",
}
"""The header of a model that nothing can run, but everything can describe."""

TINY_TENSORS: Mapping[str, tuple[Sequence[int], int]] = {
    "token_embd.weight": ((8, 5000), F16),
    "blk.0.attn_q.weight": ((8, 8), F32),
    "blk.1.attn_q.weight": ((8, 8), F32),
}
"""Tensor names to shape and ggml type (``F32`` or ``F16``)."""


def write_gguf(
    path: Path,
    values: Mapping[str, Any] | None = None,
    tensors: Mapping[str, tuple[Sequence[int], int]] | None = None,
) -> Path:
    """Write a file of version 3 with zeros for weights; returns ``path``.

    :param values: texts, numbers, truth values and lists of them; default :data:`TINY`.
    :param tensors: default :data:`TINY_TENSORS`.
    """
    values = TINY if values is None else values
    tensors = TINY_TENSORS if tensors is None else tensors
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values))
    for key, value in values.items():
        kind, body = _value(value)
        head += _string(key) + struct.pack("<I", kind) + body
    offset = 0
    for name, (shape, tensor_type) in tensors.items():
        head += _string(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        head += struct.pack("<IQ", tensor_type, offset)
        offset += -(-math.prod(shape) * _WIDTH[tensor_type] // 32) * 32
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + bytes(-len(head) % 32) + bytes(offset))
    return path


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: Any) -> tuple[int, bytes]:
    if isinstance(value, bool):
        return 7, struct.pack("<?", value)
    if isinstance(value, int):
        return (
            (4, struct.pack("<I", value)) if 0 <= value < 2**32 else (11, struct.pack("<q", value))
        )
    if isinstance(value, float):
        return 6, struct.pack("<f", value)
    if isinstance(value, str):
        return 8, _string(value)
    items = [_value(item) for item in value]
    kind = items[0][0] if items else 4
    return 9, struct.pack("<IQ", kind, len(items)) + b"".join(body for _, body in items)
