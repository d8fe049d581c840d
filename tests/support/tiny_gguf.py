"""A tiny Hugging Face model as a GGUF file without a vocabulary, and its logits in llama.cpp."""

from __future__ import annotations

import ctypes
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from oss_plugins.peft_training.gguf_adapter import ARCHITECTURES, permute

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def write_gguf(folder: Path, target: Path) -> Path:
    """The model in fp32; the layout is that of llama.cpp's own converter."""
    import gguf
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text())
    name, permuted = ARCHITECTURES[config["model_type"]]
    arch = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == name)
    names = gguf.get_tensor_name_map(arch, config["num_hidden_layers"])
    writer = gguf.GGUFWriter(str(target), name)
    _describe(writer, config)
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    for key, value in load_file(folder / "model.safetensors").items():
        data = value.astype(np.float32)
        if permuted and key.endswith("q_proj.weight"):
            data = permute(data, heads)
        elif permuted and key.endswith("k_proj.weight"):
            data = permute(data, kv_heads)
        for tensor, part in _parts(key, data, names):
            writer.add_tensor(tensor, np.ascontiguousarray(part))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _parts(key: str, data: np.ndarray[Any, Any], names: Any) -> list[tuple[str, Any]]:
    if ".mlp.experts." not in key:
        made = names.get_name(key, try_suffixes=(".weight", ".bias"))
        if made is None:  # the router's and the sinks' parameters
            made = names.get_name(f"{key}.weight", try_suffixes=(".weight",))
        assert made, key
        if not made.endswith((".weight", ".bias")):
            made += ".weight"
        return [(made, data)]
    block = f"blk.{key.split('.')[2]}"
    if key.endswith("gate_up_proj"):  # (experts, in, 2 * out), gate and up interleaved
        turned = data.transpose(0, 2, 1)
        return [
            (f"{block}.ffn_gate_exps.weight", turned[:, 0::2]),
            (f"{block}.ffn_up_exps.weight", turned[:, 1::2]),
        ]
    if key.endswith("gate_up_proj_bias"):
        return [
            (f"{block}.ffn_gate_exps.bias", data[:, 0::2]),
            (f"{block}.ffn_up_exps.bias", data[:, 1::2]),
        ]
    if key.endswith("down_proj"):
        return [(f"{block}.ffn_down_exps.weight", data.transpose(0, 2, 1))]
    return [(f"{block}.ffn_down_exps.bias", data)]


def _describe(writer: Any, config: dict[str, Any]) -> None:
    rope = config.get("rope_parameters") or {}
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(rope.get("rope_theta", 10000.0))
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")
    if config["model_type"] == "gpt_oss":
        import gguf

        writer.add_expert_count(config["num_local_experts"])
        writer.add_expert_used_count(config["num_experts_per_tok"])
        writer.add_expert_feed_forward_length(config["intermediate_size"])
        writer.add_sliding_window(config["sliding_window"])
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])


_keep: list[Any] = []


def llama_logits(
    model: Path, prompts: Sequence[Sequence[int]], adapter: Path | None = None, scale: float = 1.0
) -> np.ndarray[Any, Any]:
    """Logits (prompts, tokens, vocabulary) by llama.cpp's own functions."""
    import llama_cpp

    silent = llama_cpp.llama_log_callback(lambda *_: None)
    _keep.append(silent)
    llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
    loaded = llama_cpp.llama_model_load_from_file(
        str(model).encode(), llama_cpp.llama_model_default_params()
    )
    assert loaded, f"llama.cpp cannot load {model}"
    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx, parameters.n_threads, parameters.n_threads_batch = 256, 1, 1
    parameters.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
    parameters.type_k = parameters.type_v = llama_cpp.GGML_TYPE_F32
    context = llama_cpp.llama_init_from_model(loaded, parameters)
    if adapter is not None:
        lora = llama_cpp.llama_adapter_lora_init(loaded, str(adapter).encode())
        assert lora, f"llama.cpp cannot load {adapter}"
        loras = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(lora)
        scales = (ctypes.c_float * 1)(scale)
        assert llama_cpp.llama_set_adapters_lora(context, loras, 1, scales) == 0
    size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(loaded))
    found = []
    for prompt in prompts:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        batch = llama_cpp.llama_batch_init(len(prompt), 0, 1)
        batch.n_tokens = len(prompt)
        for place, token in enumerate(prompt):
            batch.token[place], batch.pos[place], batch.n_seq_id[place] = token, place, 1
            batch.seq_id[place][0], batch.logits[place] = 0, 1
        assert llama_cpp.llama_decode(context, batch) == 0
        values = np.ctypeslib.as_array(
            llama_cpp.llama_get_logits(context), shape=(len(prompt), size)
        )
        found.append(values.copy())
        llama_cpp.llama_batch_free(batch)
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(loaded)
    return np.stack(found)


def torch_logits(model: Any, prompts: Sequence[Sequence[int]]) -> np.ndarray[Any, Any]:
    """The same by Transformers."""
    import torch

    model.eval()
    with torch.no_grad():
        logits = model(torch.tensor(prompts), use_cache=False).logits
    result: np.ndarray[Any, Any] = logits.float().numpy()
    return result


def correlation(one: np.ndarray[Any, Any], two: np.ndarray[Any, Any]) -> float:
    """Pearson's, over everything."""
    return float(np.corrcoef(one.ravel(), two.ravel())[0, 1])


def as_f16(source: Path, target: Path) -> Path:
    """A copy of a GGUF file with its matrices in F16: a base without rounding of its own."""
    import gguf

    reader = gguf.GGUFReader(str(source))
    architecture = reader.get_field("general.architecture").contents()
    writer = gguf.GGUFWriter(str(target), architecture)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in {"general.architecture", "general.file_type"}:
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, sub_type=inner)
    for tensor in reader.tensors:
        data = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, data.astype(np.float32 if data.ndim == 1 else np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target
