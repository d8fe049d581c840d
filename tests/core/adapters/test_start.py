"""What a run goes on from, and what of it is settled."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from oss.adapters import BaseCard, Card, staged
from oss.adapters.peft_folder import start_in_base
from oss.adapters.start import Start, find_start, settle
from oss.contracts.errors import CapabilityError, ConfigError, ModelError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssHome

LORA = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "lora_dropout": 0.1}


def folder_of(path: Path, **config: Any) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "adapter_config.json").write_text(json.dumps(config))
    (path / "adapter_model.safetensors").write_bytes(b"weights")
    return path


def test_an_adapter_of_a_name(oss_home: OssHome) -> None:
    with staged("капитан") as (folder, finish):
        folder_of(folder, **LORA)
        finish(Card(name="капитан", method="lora", base=BaseCard(name="starter", layers=30)))
    found = find_start("капитан")
    assert (found.name, found.method, found.base.layers) == ("капитан", "lora", 30)
    assert found.settled == {"r": 8, "alpha": 16, "dropout": 0.1}
    with pytest.raises(ModelError, match="no adapter 'капитен'"):
        find_start("капитен")


@pytest.mark.parametrize(
    ("config", "method", "settled"),
    [
        (LORA, "lora", {"r": 8, "alpha": 16, "dropout": 0.1}),
        ({**LORA, "use_rslora": True}, "rslora", {"r": 8, "alpha": 16, "dropout": 0.1}),
        ({"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 5}, "prompt", {"tokens": 5}),
    ],
)
def test_a_checkpoint_or_a_folder_made_elsewhere(
    tmp_path: Path, config: dict[str, Any], method: str, settled: dict[str, Any]
) -> None:
    found = find_start(str(folder_of(tmp_path / "checkpoint-20", **config)))
    assert (found.name, found.method) == ("checkpoint-20", method)
    assert dict(found.settled) == settled


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="to go on from"):
        find_start(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="whole model") as caught:
        find_start(str(tmp_path))
    assert "[model] name" in str(caught.value.hint)
    with pytest.raises(CapabilityError, match="IA3"):
        find_start(str(folder_of(tmp_path / "ia3", peft_type="IA3")))
    (tmp_path / "ia3" / "adapter_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"adapter_config\.json"):
        find_start(str(tmp_path / "ia3"))


def test_what_is_settled_cannot_be_chosen_anew(tmp_path: Path) -> None:
    start = Start("first", tmp_path, "lora", settled={"r": 8, "alpha": 16.0})
    assert settle(start, "lora", {"plus": 16.0}) == {"plus": 16.0, "r": 8, "alpha": 16.0}
    assert settle(start, "lora", {"r": 8})["r"] == 8
    with pytest.raises(ConfigError, match=r"train\.lora\.r = 4, but 'first'.* has 8"):
        settle(start, "lora", {"r": 4})
    with pytest.raises(ConfigError, match="goes on as 'lora', not as 'dora'"):
        settle(start, "dora", {})
    converted = Start("first", tmp_path, "pissa", settled={"r": 32})
    assert settle(converted, "lora", {}) == {"r": 32}
    with pytest.raises(ConfigError, match="goes on as 'lora'"):
        settle(converted, "pissa", {})


@pytest.mark.parametrize(
    ("given", "kind"),
    [("pissa", "pissa"), ("pissa_niter_16", "pissa_niter_16"), ("olora", "olora"), (True, ""),
     ("gaussian", ""), ("eva", "")],
)  # fmt: skip
def test_a_start_that_was_taken_out_of_the_base(given: Any, kind: str) -> None:
    assert start_in_base({"init_lora_weights": given}) == kind
