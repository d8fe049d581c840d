"""What PEFT's own configuration in a folder says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oss.adapters.card import PEFT_WEIGHTS
from oss.contracts.errors import CapabilityError, ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CHANGES_BASE = ("pissa", "olora", "corda", "loftq")


def is_peft(folder: Path) -> bool:
    """Whether an adapter in PEFT's form lies there."""
    return (folder / PEFT_WEIGHTS).is_file()


def read_settings(folder: Path) -> dict[str, Any]:
    """PEFT's own configuration in a folder.

    :raises ModelError: it is absent, or not JSON.
    """
    import msgspec

    file = folder / "adapter_config.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from error


def method_name(settings: Mapping[str, Any]) -> str:
    """The method here that makes adapters of such a configuration.

    :raises CapabilityError: there is none.
    """
    kind = str(settings.get("peft_type"))
    if kind == "LORA":
        if settings.get("use_dora"):
            return "dora"
        return "rslora" if settings.get("use_rslora") else "lora"
    names = {"ADALORA": "adalora", "PROMPT_TUNING": "prompt", "PREFIX_TUNING": "prefix"}
    if kind not in names:
        raise CapabilityError(f"adapters of kind {kind} are not known here")
    return names[kind]


def start_in_base(settings: Mapping[str, Any]) -> str:
    """The kind of start that was taken out of the base's weights (``pissa``), so that the adapter
    fits the untouched base only after a conversion; empty for all others.

    PEFT takes it out again when it loads such a folder; engines and converters do not, and the
    adapter then does something else without a word.
    """
    start = str(settings.get("init_lora_weights", ""))
    return start if start.startswith(_CHANGES_BASE) else ""
