"""From what a profile or a person writes to an adapter's files, in the form an engine opens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from oss.adapters.card import CARD, GGUF
from oss.adapters.registry import adapters_dir, find_adapter
from oss.contracts.adapter import AdapterRef
from oss.contracts.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.contracts.model import LocalModel


def locate(text: str, name: str | None = None, scale: float = 1.0) -> AdapterRef:
    """The adapter of a name, a GGUF file or a folder.

    :raises ConfigError: there is none.
    """
    named = adapters_dir() / text if "/" not in text and text not in {"", ".", ".."} else None
    if named is not None and (named / CARD).is_file():
        return AdapterRef(name or text, named, scale)
    real = Path(text).expanduser().absolute()
    if real.exists():
        return AdapterRef(name or real.stem, real, scale)
    try:
        hint = find_adapter(text).name
    except ModelError as error:
        hint = str(error.hint)
    raise ConfigError(
        f"there is no adapter '{text}'",
        hint=f"{hint}; `oss train` makes one, and a GGUF LoRA file or a PEFT folder will do",
    )


def check_for(ref: AdapterRef, model: LocalModel) -> None:
    """Refuse an adapter whose card says that it was made for a model of other sizes.

    :raises ModelError: it was, or the card is damaged.
    """
    if model.path is None or not (ref.path / CARD).is_file():
        return  # a server's model, or an adapter from elsewhere: the engine finds out
    from oss.adapters.card import read_card
    from oss.adapters.fit import check_sizes

    check_sizes(ref.name, read_card(ref.path).base, model)


def shown_to(ref: AdapterRef, formats: Sequence[str]) -> AdapterRef:
    """The adapter in the form that a backend with these model formats opens.

    :raises ConfigError: it has no such form.
    """
    if not ref.path.is_dir() or "hf" in formats or "gguf" not in formats:
        return ref
    if (ref.path / GGUF).is_file():
        return replace(ref, path=ref.path / GGUF)
    raise ConfigError(
        f"adapter '{ref.name}' has no GGUF form, which this backend needs",
        hint=f"`oss adapter export {ref.name} --to gguf`, or the backend transformers",
    )
