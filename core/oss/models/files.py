"""Model files on disk: parts of a split GGUF, weights of a folder, the quantisation in a name."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from oss.contracts.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)

# What to take where a repository has several and the user names none: the usual compromise of
# size and quality first, then what is nearest to it.
_PREFERRED = (
    "MXFP4",
    "Q4_K_M",
    "Q4_K_S",
    "Q4_K_XL",
    "Q5_K_M",
    "Q4_0",
    "Q4_1",
    "IQ4_XS",
    "Q5_K_S",
    "Q6_K",
    "Q8_0",
    "Q3_K_M",
    "BF16",
    "F16",
)


def gguf_parts(path: Path) -> list[Path]:
    """The files of a model in order: one, or the parts of a split one.

    :raises ModelError: a part is missing; the message names it.
    """
    match = _PART.search(path.name)
    if not match:
        return [path]
    total, stem, suffix = int(match[2]), path.name[: match.start()], path.name[-5:]
    parts = [path.with_name(f"{stem}-{i:05d}-of-{total:05d}{suffix}") for i in range(1, total + 1)]
    if missing := [part for part in parts if not part.is_file()]:
        raise ModelError(
            f"{missing[0]} is missing: the model is in {total} parts",
            hint="put all parts into one folder, or fetch the model again",
        )
    return parts


def is_quantisation(text: str) -> bool:
    """Whether ``text`` reads as ``Q4_K_M``, ``IQ4_XS``, ``MXFP4``, ``BF16`` or the like."""
    pattern = r"(UD-)?(I?Q\d(_[A-Z0-9]+)*|TQ\d_0|(MX|NV)?FP4(_MOE)?|B?F16|F32)"
    return re.fullmatch(pattern, text, re.IGNORECASE) is not None


def pick_gguf(names: Sequence[str], wanted: str = "") -> tuple[str, ...]:
    """The files to take from a repository's: all parts of one model, in order.

    :param wanted: a file's name or path, or a quantisation in any case; empty: the usual one.
    :return: empty when nothing matches.
    """
    models = [
        name
        for name in names
        if name.lower().endswith(".gguf")
        and not PurePosixPath(name).name.lower().startswith(("mmproj", "mtp-"))
    ]
    if wanted.lower().endswith(".gguf"):
        lowered = wanted.lower()
        same = [n for n in models if n.lower() == lowered]
        same = same or [n for n in models if PurePosixPath(n).name.lower() == lowered]
        return _with_parts(same[0], models) if same else ()
    for quantisation in (wanted,) if wanted else _PREFERRED:
        mark = re.compile(rf"(^|[-._/ ]){re.escape(quantisation)}([-._/ ]|$)", re.IGNORECASE)
        if same := sorted((n for n in models if mark.search(n)), key=lambda n: (len(n), n)):
            return _with_parts(same[0], models)
    return _with_parts(min(models), models) if models and not wanted else ()


def _with_parts(name: str, names: Sequence[str]) -> tuple[str, ...]:
    match = _PART.search(name)
    if not match:
        return (name,)
    stem = name[: match.start()]
    return tuple(sorted(n for n in names if (m := _PART.search(n)) and n[: m.start()] == stem))


def folder_size(folder: Path) -> int:
    """Bytes of the weights in a Hugging Face folder (or of all its files, without weights)."""
    files = [f for f in folder.iterdir() if f.is_file()]
    weights = [f for f in files if f.suffix == ".safetensors"]
    return sum(f.stat().st_size for f in weights or files)
