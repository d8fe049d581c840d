"""gpt-oss: a tiny model of the real architecture, with random weights, in bfloat16 and MXFP4."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from oss.contracts.adapter import AdapterRef
from oss.contracts.backend import Capability
from oss.contracts.errors import ModelError
from oss.contracts.model import LocalModel
from oss.testing.conformance.asking import CAPITAL, GREEDY, Opened
from oss_plugins.hf_transformers.backend import TransformersBackend

from .conftest import DEFAULTS

if TYPE_CHECKING:
    from pathlib import Path

    from oss_plugins.hf_transformers.engine import TransformersEngine

pytestmark = [pytest.mark.slow, pytest.mark.real, pytest.mark.torch]

OPTIONS = {**DEFAULTS, "context": 256, "threads": 1}
EXPERTS, CHOSEN, WIDTH, LAYERS = 4, 2, 64, 2
TEMPLATE = (
    "{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endfor %}"
    "{% if tools %}{{ tools | length }}{% endif %}<|start|>assistant<|channel|>analysis<|message|>"
)


def tiny(folder: Path, starter: LocalModel) -> LocalModel:
    """A gpt-oss of 6 MB with the starter's tokenizer."""
    import torch
    from transformers import AutoTokenizer, GptOssConfig, GptOssForCausalLM

    torch.manual_seed(0)
    config = GptOssConfig(
        vocab_size=49152,
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        num_local_experts=EXPERTS,
        num_experts_per_tok=CHOSEN,
        sliding_window=16,
        max_position_embeddings=512,
        pad_token_id=2,
        eos_token_id=2,
    )
    GptOssForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(starter.path)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return LocalModel("крошка", "file:tiny", "hf", folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, starter: LocalModel) -> LocalModel:
    return tiny(tmp_path_factory.mktemp("gpt-oss") / "bf16", starter)


def test_answers_and_shows_its_routing(model: LocalModel) -> None:
    opened = Opened(TransformersBackend(), model, (), OPTIONS)
    try:
        assert Capability.EXPERT_ROUTING in opened.engine.info.capabilities
        found = opened.ask(CAPITAL, GREEDY)
        assert found.finish_reason in ("stop", "length")
        assert found.content + found.reasoning
        inside = opened.run(cast("TransformersEngine", opened.engine).analyse(CAPITAL))
        count = len(inside.ids)
        assert inside.logits.shape == (count, 49152)
        assert [tuple(r.shape) for r in inside.router_logits] == [(count, EXPERTS)] * LAYERS
        chosen = inside.chosen_experts(0)
        assert all(len(set(experts)) == CHOSEN for experts in chosen)
    finally:
        opened.close()


def test_an_adapter_of_experts_acts(model: LocalModel, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(model.path, dtype=torch.float32)
    config = LoraConfig(
        r=4,
        target_modules=[],
        target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"],
        init_lora_weights=False,
        task_type="CAUSAL_LM",
    )
    with pytest.warns(FutureWarning):  # PEFT's, of transformers' names
        made = get_peft_model(base, config)
    made.save_pretrained(tmp_path / "experts")
    adapter = AdapterRef("experts", tmp_path / "experts")
    opened = Opened(TransformersBackend(), model, (adapter,), OPTIONS)
    try:
        answers = [
            opened.ask(CAPITAL, GREEDY, logprobs=0, adapter_scales={"experts": scale}).logprobs
            for scale in (0.0, 0.5, 1.0, 0.0)
        ]
        assert answers[0] == answers[3]
        assert len({tuple(found) for found in answers}) == 3
    finally:
        opened.close()


def test_mxfp4_is_dequantised_where_there_are_no_kernels(
    model: LocalModel, tmp_path: Path, starter: LocalModel
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    if torch.cuda.is_available():
        pytest.skip("a GPU may have the kernels")
    folder = tiny(tmp_path / "mxfp4", starter).path
    assert folder is not None
    tensors = load_file(folder / "model.safetensors")
    packed: dict[str, Any] = {}
    for name, tensor in tensors.items():
        if name.endswith(("gate_up_proj", "down_proj")):
            experts, rows, columns = tensor.shape  # in, out: MXFP4 has it transposed
            blocks = torch.randint(0, 256, (experts, columns, rows // 32, 16), dtype=torch.uint8)
            packed[f"{name}_blocks"] = blocks
            scale = torch.full((experts, columns, rows // 32), 120, dtype=torch.uint8)
            packed[f"{name}_scales"] = scale
        else:
            packed[name] = tensor.clone()
    save_file(packed, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {
        "quant_method": "mxfp4",
        "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router"],
    }
    (folder / "config.json").write_text(json.dumps(config))
    opened = Opened(TransformersBackend(), LocalModel("m", "file:m", "hf", folder), (), OPTIONS)
    try:
        found = opened.ask(CAPITAL, GREEDY)
        assert found.finish_reason in ("stop", "length")
        details = opened.engine.info.details
        assert details["dtype"] in ("bfloat16", "float32")
        experts = next(
            module
            for module in cast("Any", opened.engine)._loaded.model.modules()
            if type(module).__name__ == "GptOssExperts"
        )
        assert experts.gate_up_proj.shape == (EXPERTS, WIDTH, 2 * WIDTH)
        assert float(experts.gate_up_proj.detach().float().abs().sum()) > 0
    finally:
        opened.close()


def test_weights_that_are_missing_are_not_made_up(model: LocalModel, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    assert model.path is not None
    for file in model.path.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["model.layers.1.mlp.router.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"router\.weight"):
        Opened(TransformersBackend(), LocalModel("m", "file:m", "hf", tmp_path), (), OPTIONS)
