"""What is to be changed is found in the model, or it is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.errors import UsageError
from oss_plugins.peft_training.base import load_shape
from oss_plugins.peft_training.targets import EXPERTS, find_targets

if TYPE_CHECKING:
    from pathlib import Path

NONE: dict[str, Any] = {
    "targets": [],
    "layers": [],
    "dropout": 0.0,
    "experts": True,
    "router": False,
}


def test_all_linear_layers_of_a_dense_model(llama: Path) -> None:
    found = find_targets(load_shape(llama), NONE, plain=True)
    assert set(found.modules) == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    }  # fmt: skip
    assert found.parameters == ()


def test_experts_are_not_passed_by(gpt_oss: Path) -> None:
    """`all-linear` touches q, k, v, o alone in gpt-oss, and says nothing."""
    found = find_targets(load_shape(gpt_oss), NONE, plain=True)
    assert set(found.modules) == {"q_proj", "k_proj", "v_proj", "o_proj"}
    assert found.parameters == EXPERTS


def test_chosen_layers_hold_for_experts_too(gpt_oss: Path) -> None:
    """PEFT ignores layers_to_transform for parameters."""
    found = find_targets(load_shape(gpt_oss), {**NONE, "layers": ["-1"]}, plain=True)
    assert found.layers == (1,)
    assert found.parameters == tuple(f"model.layers.1.{name}" for name in EXPERTS)


def test_dropout_and_other_methods_leave_experts_with_a_word(gpt_oss: Path) -> None:
    shape = load_shape(gpt_oss)
    for options, plain in (({**NONE, "dropout": 0.1}, True), (NONE, False)):
        found = find_targets(shape, options, plain=plain)
        assert found.parameters == ()
        assert "only attention is trained" in found.notices[0]
    with pytest.raises(UsageError, match="plain LoRA"):
        find_targets(shape, {**NONE, "targets": [EXPERTS[0]], "dropout": 0.1}, plain=True)


def test_the_router_on_request(gpt_oss: Path, llama: Path) -> None:
    found = find_targets(load_shape(gpt_oss), {**NONE, "router": True}, plain=True)
    assert "mlp.router.weight" in found.parameters
    with pytest.raises(UsageError, match="no router"):
        find_targets(load_shape(llama), {**NONE, "router": True}, plain=True)


def test_a_target_that_matches_nothing_is_an_error(llama: Path) -> None:
    with pytest.raises(UsageError, match="'q_prj' matches nothing") as caught:
        find_targets(load_shape(llama), {**NONE, "targets": ["q_proj", "q_prj"]}, plain=True)
    assert "q_proj" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("given", "layers"), [(["0"], (0,)), (["0-1"], (0, 1)), (["-1"], (1,)), (["-9"], (0, 1))]
)
def test_layers(llama: Path, given: list[str], layers: tuple[int, ...]) -> None:
    assert find_targets(load_shape(llama), {**NONE, "layers": given}, plain=True).layers == layers


@pytest.mark.parametrize("given", ["2", "first", "1-5"])
def test_layers_that_are_none(llama: Path, given: str) -> None:
    with pytest.raises(UsageError, match="layer"):
        find_targets(load_shape(llama), {**NONE, "layers": [given]}, plain=True)
