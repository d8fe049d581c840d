"""The recipe as Axolotl's own schema reads it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from oss.adapters.axolotl import axolotl_yaml
from oss.adapters.recipe import resolve_recipe
from oss.contracts.errors import CapabilityError
from oss.contracts.messages import Message
from oss.data import Conversation, Origin, Preference, Text
from oss.profile.schema import TrainTable
from oss_plugins.peft_training import oss_adapters

HERE = Origin("примеры.jsonl", 1)
ASK = (Message("user", "Кто ты?"),)
GOOD, BAD = Message("assistant", "Ahoy!"), Message("assistant", "Hello.")
ROWS: dict[str, Any] = {
    "chat": Conversation((*ASK, GOOD), HERE),
    "text": Text("Ahoy!", HERE),
    "preference": Preference(ASK, GOOD, BAD, HERE),
}
KNOWN = [
    ("lora", "chat", {}),
    ("rslora", "chat", {}),
    ("dora", "chat", {}),
    ("pissa", "chat", {}),
    ("qlora", "chat", {}),
    ("full", "chat", {}),
    ("lora", "text", {}),
    ("lora", "dpo", {}),
    ("lora", "ipo", {}),
    ("lora", "simpo", {}),
    ("lora", "chat", {"packing": True, "checkpointing": True, "schedule": "cosine"}),
    ("lora", "chat", {"schedule": "constant", "max_length": 512, "batch": 2}),
]


def written(method: str, objective: Any, table: dict[str, Any]) -> str:
    kind = objective if objective in {"chat", "text"} else "preference"
    rows = [ROWS[kind]] * 20
    descriptor = next(d for d in oss_adapters() if d.name == method)
    made = TrainTable(method=method, objective=objective, **table)
    recipe = resolve_recipe(made, descriptor, rows, 2048)
    return axolotl_yaml("mine", recipe, "/models/база", ("примеры.jsonl",), 0.1)


def test_what_it_says() -> None:
    text = written("rslora", "chat", {"learning_rate": 3e-4})
    found = yaml.safe_load(text)
    assert text.startswith("# Axolotl reads rows of the form messages")
    assert found["base_model"] == "/models/база"
    assert found["datasets"][0]["path"] == "примеры.jsonl"
    assert found["datasets"][0]["roles_to_train"] == ["assistant"]
    assert found["learning_rate"] == 3e-4
    assert found["lora_r"] == 16
    assert found["peft_use_rslora"] is True


@pytest.mark.parametrize(("method", "objective"), [("prompt", "chat"), ("lora", "orpo")])
def test_what_has_no_counterpart_is_refused(method: str, objective: str) -> None:
    with pytest.raises(CapabilityError):
        written(method, objective, {})


@pytest.mark.torch
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("method", "objective", "table"), KNOWN)
def test_axolotl_takes_it(method: str, objective: str, table: dict[str, Any]) -> None:
    schema = pytest.importorskip(
        "axolotl.utils.schemas.config", reason="pip install --no-deps axolotl", exc_type=ImportError
    )
    document = yaml.safe_load(written(method, objective, table))
    unknown = document.keys() - schema.AxolotlInputConfig.model_fields.keys()
    assert not unknown
    read = schema.AxolotlInputConfig(**document)
    assert read.micro_batch_size == document["micro_batch_size"]
    assert read.adapter == document.get("adapter")
