"""References: what a user may write where a model is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


def split_ref(text: str, schemes: Collection[str]) -> tuple[str, str] | None:
    """``("hf", "owner/repo:Q8_0")`` of ``hf:owner/repo:Q8_0``; ``None`` without a known scheme."""
    scheme, colon, rest = text.partition(":")
    return (scheme, rest) if colon and scheme in schemes else None


def as_path(text: str) -> Path | None:
    """The path that ``text`` means, or ``None`` when it reads as a name.

    A path has a separator at its start, ends in ``.gguf``, or exists as a file or as a folder
    with ``config.json``.
    """
    path = Path(text).expanduser()
    spelled = text.startswith(("/", "./", "../", "~", ".\\", "..\\")) or path.is_absolute()
    if spelled or text.lower().endswith(".gguf"):
        return path
    try:
        return path if path.is_file() or (path / "config.json").is_file() else None
    except OSError:  # a name too long for a file is not a path
        return None
