"""Reads the header of a GGUF file: keys, values, and what tensors there are.

Why not the ``gguf`` package: it needs numpy, builds an array view of every tokenizer entry and of
every tensor (a second for a large vocabulary), and meets a cut file with an error of numpy's. The
header alone is a simple format, and reading it must be cheap enough to do before each run.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_STRING, _ARRAY, _BOOL = 8, 9, 7
_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_LONGEST_KEPT_ARRAY = 4096  # values per layer are kept, vocabularies are stepped over

# ggml type: name, elements of a block, bytes of a block.
# Source: ggml.h (enum ggml_type) and ggml-common.h (block sizes) of llama.cpp.
TENSOR_TYPES: Mapping[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
}


@dataclass(frozen=True)
class Tensor:
    """One tensor of the file: its shape, its ggml type, where it starts after the header."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        count = 1
        for length in self.shape:
            count *= length
        return count

    @property
    def nbytes(self) -> int | None:
        """Bytes on disk, or ``None`` for a type this table does not know."""
        known = TENSOR_TYPES.get(self.type)
        return None if known is None else self.elements // known[1] * known[2]


@dataclass(frozen=True)
class Header:
    """What a GGUF file says before its weights.

    ``values`` lacks long arrays (vocabularies).
    """

    version: int
    values: Mapping[str, Any]
    tensors: tuple[Tensor, ...]


class _CutError(Exception):
    """The file ends before what it announces."""


class _Reader:
    def __init__(self, data: mmap.mmap, order: str) -> None:
        self.data = data
        self.order = order
        self.at = 0
        self.formats = {kind: struct.Struct(order + code) for kind, code in _SCALARS.items()}
        self.length = struct.Struct(order + "Q")

    def scalar(self, kind: int) -> Any:
        form = self.formats[kind]
        value = form.unpack_from(self.data, self.at)[0]
        self.at += form.size
        return value

    def string(self) -> str:
        size = self.scalar(10)
        end = self.at + size
        if end > len(self.data):
            raise _CutError
        text = self.data[self.at : end].decode("utf-8", "replace")
        self.at = end
        return text

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            return self.scalar(kind)
        item, count = self.scalar(4), self.scalar(10)
        if item == _ARRAY:  # the format has no lists of lists
            raise KeyError(item)
        if count <= _LONGEST_KEPT_ARRAY:
            return [self.value(item) for _ in range(count)]
        self.skip(item, count)
        return None

    def skip(self, kind: int, count: int) -> None:
        if kind != _STRING:
            self.at += self.formats[kind].size * count
            return
        data, at, unpack = self.data, self.at, self.length.unpack_from
        for _ in range(count):
            at += 8 + unpack(data, at)[0]
        self.at = at


def read_header(path: Path) -> Header:
    """Keys, values and tensors of a GGUF file; whether it is whole.

    :raises ModelError: no such file, not GGUF, or cut short.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
            if start[:4] != b"GGUF":
                raise _not_gguf(path, start)
            if len(start) < 8:
                raise _cut(path)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _parse(path, data)
    except FileNotFoundError as error:
        raise ModelError(f"no model file at {path}", hint="check the path") from error
    except IsADirectoryError as error:
        raise ModelError(f"{path} is a folder, not a GGUF file") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error


def _parse(path: Path, data: mmap.mmap) -> Header:
    # A big-endian file has its version's bytes the other way round.
    order = "<" if struct.unpack_from("<I", data, 4)[0] & 0xFFFF else ">"
    reader = _Reader(data, order)
    reader.at = 4
    try:
        version = reader.scalar(4)
        if not 2 <= version <= 3:
            raise ModelError(
                f"{path} is GGUF version {version}, which is not readable",
                hint="fetch a newer conversion of the model",
            )
        tensor_count, value_count = reader.scalar(10), reader.scalar(10)
        values = {}
        for _ in range(value_count):
            key = reader.string()
            values[key] = reader.value(reader.scalar(4))
        tensors = []
        for _ in range(tensor_count):
            name = reader.string()
            shape = tuple(reader.scalar(10) for _ in range(reader.scalar(4)))
            tensors.append(Tensor(name, shape, reader.scalar(4), reader.scalar(10)))
    except (_CutError, struct.error, OverflowError) as error:
        raise _cut(path) from error
    except KeyError as error:  # a value type that the format does not have
        raise ModelError(
            f"{path} has a damaged GGUF header", hint="fetch the model again"
        ) from error
    header = Header(version, values, tuple(tensors))
    _check_whole(path, header, reader.at, len(data))
    return header


def _check_whole(path: Path, header: Header, end: int, size: int) -> None:
    alignment = header.values.get("general.alignment")
    if not isinstance(alignment, int) or alignment < 1:
        alignment = 32
    start = -(-end // alignment) * alignment
    for tensor in header.tensors:
        if start + tensor.offset + (tensor.nbytes or 0) > size:
            raise _cut(path)


def _not_gguf(path: Path, start: bytes) -> ModelError:
    if not start:
        return ModelError(f"{path} is empty", hint="fetch the model again")
    if start.startswith(b"version "):
        return ModelError(
            f"{path} is a Git LFS pointer, not a model", hint="run: git lfs pull, or oss model pull"
        )
    return ModelError(
        f"{path} is not a GGUF file", hint="--model takes a .gguf file or a folder with config.json"
    )


def _cut(path: Path) -> ModelError:
    return ModelError(
        f"{path} is cut short: it ends before its own header says",
        hint="fetch the model again; a copy that was interrupted cannot be used",
    )
