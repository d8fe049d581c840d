"""Adapters: small trained changes to a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

AdapterFormat = Literal["gguf", "peft"]


@dataclass(frozen=True)
class AdapterRef:
    """An adapter to open with a model: its name, where it lies, and how strongly it acts.

    ``path`` is a GGUF LoRA file or a PEFT folder. ``scale`` 1 is as trained, 0 is off.
    """

    name: str
    path: Path
    scale: float = 1.0

    @property
    def format(self) -> AdapterFormat:
        """By what lies at ``path``."""
        return "peft" if self.path.is_dir() else "gguf"
