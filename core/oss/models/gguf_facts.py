"""Facts of a model out of its GGUF header."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ModelError
from oss.models.facts import ModelFacts
from oss.models.files import gguf_parts
from oss.models.gguf import TENSOR_TYPES, Header, read_header

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

# general.file_type; source: enum llama_ftype in llama.h. The mixed ones have no tensor type of
# their own, so that the name cannot be read off the tensors.
_FILE_TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4",
}

_MOST_LAYERS = 10_000  # more is damage, not a model

# Layers that see a window alternate with layers that see everything: one in so many sees
# everything. Source: load_hparams of each model in llama.cpp (set_swa_pattern).
_WINDOW_PATTERN = {"gpt-oss": 2, "gemma2": 2, "gemma3": 6, "gemma3n": 5, "cohere2": 4, "olmo2": 4}


def facts_of_gguf(path: Path) -> ModelFacts:
    """Read every part's header.

    :raises ModelError: absent, not GGUF, cut short, or an adapter or projector, not a model.
    """
    parts = gguf_parts(path)
    headers = [read_header(part) for part in parts]
    values = headers[0].values
    kind = values.get("general.type", "model")
    if kind != "model":
        raise ModelError(
            f"{path} holds {'an adapter' if kind == 'adapter' else f'a {kind}'}, not a model",
            hint="adapters are loaded with --adapter" if kind == "adapter" else None,
        )
    architecture = values.get("general.architecture")
    if not isinstance(architecture, str):
        raise ModelError(f"{path} does not say its architecture", hint="fetch another conversion")
    return _facts(path, architecture, headers, sum(part.stat().st_size for part in parts))


def _facts(path: Path, architecture: str, headers: Sequence[Header], size: int) -> ModelFacts:
    values = headers[0].values

    def get(key: str) -> Any:
        return values.get(f"{architecture}.{key}")

    def number(key: str, default: int = 0) -> int:
        found = get(key)
        return int(found) if isinstance(found, int | float) else default

    tensors = [tensor for header in headers for tensor in header.tensors]
    total = sum(tensor.elements for tensor in tensors)
    experts, active = number("expert_count"), number("expert_used_count")
    routed = sum(t.elements for t in tensors if "_exps." in t.name) if experts else 0
    layers = number("block_count")
    if not 0 <= layers <= _MOST_LAYERS:
        raise ModelError(f"{path} has a damaged GGUF header", hint="fetch the model again")
    head_counts = _per_layer(get("attention.head_count"), layers)
    kv_heads = _per_layer(get("attention.head_count_kv") or head_counts, layers)
    embedding, heads = number("embedding_length"), max(head_counts, default=0)
    head = embedding // heads if heads else 0
    key, value = number("attention.key_length", head), number("attention.value_length", head)
    if rank := number("attention.kv_lora_rank"):  # one compressed vector stands for all heads
        kv_heads, key, value = [1] * layers, rank + number("rope.dimension_count"), 0
    if every := number("full_attention_interval"):  # the layers between are recurrent
        kv_heads = [n if (i + 1) % every == 0 else 0 for i, n in enumerate(kv_heads)]
    window = number("attention.sliding_window")
    narrow = _windowed(architecture, get("attention.sliding_window_pattern"), layers)
    if not window:
        narrow = [False] * layers
    cost = [2 * n * (key + value) for n in kv_heads]
    vocabulary = next((t.shape[-1] for t in tensors if t.name == "token_embd.weight"), 0)
    return ModelFacts(
        format="gguf",
        architecture=architecture,
        name=str(values.get("general.name") or path.stem),
        parameters=total,
        active_parameters=total - routed + (routed * active // experts if experts else 0),
        experts=experts,
        active_experts=active,
        quantisation=_quantisation(values.get("general.file_type"), tensors),
        context_length=number("context_length"),
        layers=layers,
        embedding_length=embedding,
        heads=heads,
        kv_heads=max(kv_heads, default=0),
        vocabulary=vocabulary,
        kv_bytes_per_token=sum(c for c, n in zip(cost, narrow, strict=True) if not n),
        window=window if any(narrow) else 0,
        window_bytes_per_token=sum(c for c, n in zip(cost, narrow, strict=True) if n),
        state_bytes=_state_bytes(number, layers, kv_heads),
        chat_template=str(values.get("tokenizer.chat_template") or ""),
        licence=str(values.get("general.license") or ""),
        file_size=size,
        parts=len(headers),
    )


def _per_layer(value: Any, layers: int) -> list[int]:
    """A number for every layer, from one number or from a list of them."""
    if isinstance(value, list):
        numbers = [int(v) if isinstance(v, int | float) else 0 for v in value[:layers]]
        return numbers + [0] * (layers - len(numbers))
    return [int(value) if isinstance(value, int | float) else 0] * layers


def _windowed(architecture: str, pattern: Any, layers: int) -> list[bool]:
    """Which layers see only a window: by the header's own list, else by the architecture."""
    if isinstance(pattern, list):
        return [bool(p) for p in pattern[:layers]] + [False] * (layers - len(pattern))
    every = pattern if isinstance(pattern, int) and pattern else _WINDOW_PATTERN.get(architecture)
    if not every:
        return [False] * layers
    return [(i + 1) % every != 0 for i in range(layers)]


def _state_bytes(number: Callable[[str], int], layers: int, kv_heads: Sequence[int]) -> int:
    """Recurrent state in 32-bit numbers, of the layers without attention."""
    inner = number("ssm.inner_size")
    if not inner:
        return 0
    per_layer = inner * (number("ssm.state_size") + max(number("ssm.conv_kernel") - 1, 0))
    recurrent = sum(1 for n in kv_heads if n == 0) or layers
    return 4 * per_layer * recurrent


def _quantisation(file_type: Any, tensors: Sequence[Any]) -> str:
    """The file's own name for its mix, else the type that most bytes have."""
    if isinstance(file_type, int) and file_type in _FILE_TYPES:
        return _FILE_TYPES[file_type]
    weight: Counter[int] = Counter()
    for tensor in tensors:
        weight[tensor.type] += tensor.nbytes or tensor.elements
    if not weight:
        return ""
    kind = weight.most_common(1)[0][0]
    return TENSOR_TYPES[kind][0] if kind in TENSOR_TYPES else f"type {kind}"
