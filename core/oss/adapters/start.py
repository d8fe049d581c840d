"""What a training run goes on from: an adapter, a PEFT folder, or a checkpoint of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oss.adapters.card import CARD, PEFT_WEIGHTS, BaseCard
from oss.adapters.peft_folder import is_peft, method_name, read_settings
from oss.adapters.registry import find_adapter
from oss.contracts.errors import ConfigError, ModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

# What is trained on as something else than it was begun as.
_GOES_ON_AS = {"pissa": {"lora"}, "lora": {"lora", "qlora"}, "qlora": {"lora", "qlora"}}
# Keys of PEFT's configuration by those of ours; they are the adapter's and cannot be chosen anew.
_KEYS = {
    "LORA": {"r": "r", "alpha": "lora_alpha", "dropout": "lora_dropout"},
    "ADALORA": {"r": "target_r", "alpha": "lora_alpha", "dropout": "lora_dropout"},
    "PROMPT_TUNING": {"tokens": "num_virtual_tokens"},
    "PREFIX_TUNING": {"tokens": "num_virtual_tokens"},
}


@dataclass(frozen=True)
class Start:
    """Where it lies, what it is, and what of it is settled.

    :ivar base: the model that it was made for, where its card says so.
    :ivar settled: options of its method that go on as they are.
    """

    name: str
    folder: Path
    method: str
    base: BaseCard = field(default_factory=lambda: BaseCard(name=""))
    settled: Mapping[str, Any] = field(default_factory=dict)


def find_start(text: str) -> Start:
    """The adapter of a name, or what lies in a folder.

    :raises ModelError: there is none, or its files cannot be read.
    :raises CapabilityError: a kind that is not trained here.
    """
    folder = Path(text).expanduser()
    if "/" in text and folder.is_dir() and not (folder / CARD).is_file():
        return _without_card(folder)
    adapter = find_adapter(text)
    settled = _settled(read_settings(adapter.folder)) if is_peft(adapter.folder) else {}
    return Start(adapter.name, adapter.folder, adapter.card.method, adapter.card.base, settled)


def _without_card(folder: Path) -> Start:
    if is_peft(folder):
        settings = read_settings(folder)
        return Start(folder.name, folder, method_name(settings), settled=_settled(settings))
    if (folder / "config.json").is_file():
        raise UsageError(
            f"train.start: {folder} is a whole model, not a change to one",
            hint=f'train on it: [model] name = "{folder}"',
        )
    raise ModelError(f"train.start: {folder} has no {PEFT_WEIGHTS} to go on from")


def _settled(settings: Mapping[str, Any]) -> dict[str, Any]:
    keys = _KEYS.get(str(settings.get("peft_type")), {})
    return {ours: settings[theirs] for ours, theirs in keys.items() if theirs in settings}


def settle(start: Start, method: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a run that goes on from ``start``.

    :param given: what the profile sets for the method.
    :raises ConfigError: the method is another than the start's, or an option differs from it.
    """
    if method not in _GOES_ON_AS.get(start.method, {start.method}):
        wanted = "lora" if start.method == "pissa" else start.method
        raise ConfigError(
            f"train.start: '{start.name}' is a '{start.method}' adapter and goes on as '{wanted}', "
            f"not as '{method}'",
            hint=f'set train.method = "{wanted}", or begin from `oss adapter merge {start.name}`',
        )
    for key, value in start.settled.items():
        if key in given and given[key] not in (None, value):
            raise ConfigError(
                f"train.{method}.{key} = {given[key]}, but '{start.name}', which is gone on from, "
                f"has {value}",
                hint=f"leave {key} out",
            )
    return {**given, **start.settled}
