"""Facts of a model in the Hugging Face form: ``config.json``, tokenizer, headers of safetensors.

Source of the header's form: https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ModelError
from oss.models.facts import ModelFacts

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors library


def facts_of_folder(folder: Path) -> ModelFacts:
    """Read the configuration, the chat template, and what tensors there are.

    :raises ModelError: no or a damaged ``config.json``, weights cut short, a pickle.
    """
    config = _json_file(folder / "config.json")
    if config is None:
        raise ModelError(
            f"{folder} has no config.json",
            hint="--model takes a .gguf file or a Hugging Face folder",
        )
    text = config.get("text_config")
    text = {**config, **text} if isinstance(text, dict) else config

    def number(*keys: str) -> int:
        return next((int(v) for k in keys if isinstance(v := text.get(k), int | float)), 0)

    weights = sorted(folder.glob("*.safetensors"))
    if not weights and any(folder.glob("*.bin")):
        raise ModelError(
            f"{folder} has its weights as a pickle (.bin), which can hold code and is not opened",
            hint="take a repository with .safetensors",
        )
    tensors = [t for file in weights for t in _tensors(file)]
    total = sum(_elements(*t) for t in tensors)
    experts = number("num_local_experts", "num_experts", "n_routed_experts")
    active = number("num_experts_per_tok", "experts_per_token")
    routed = sum(_elements(*t) for t in tensors if ".experts." in t[0]) if experts else 0
    layers, heads = number("num_hidden_layers", "n_layer"), number("num_attention_heads", "n_head")
    kv_heads = number("num_key_value_heads") or heads
    width = number("hidden_size", "n_embd")
    head = number("head_dim") or (width // heads if heads else 0)
    per_layer = 2 * 2 * kv_heads * head  # keys and values, 16 bits each
    kinds = text.get("layer_types")
    kinds = kinds if isinstance(kinds, list) else ["full_attention"] * layers
    narrow = sum(kind == "sliding_attention" for kind in kinds)
    full = sum(kind == "full_attention" for kind in kinds)
    names = config.get("architectures")
    return ModelFacts(
        format="hf",
        architecture=str(config.get("model_type") or (names[0] if names else "unknown")),
        name=str(config.get("_name_or_path") or folder.name),
        parameters=total,
        active_parameters=total - routed + (routed * active // experts if experts else 0),
        experts=experts,
        active_experts=active,
        quantisation=_quantisation(config, tensors),
        context_length=number("max_position_embeddings", "n_positions"),
        layers=layers,
        embedding_length=width,
        heads=heads,
        kv_heads=kv_heads,
        vocabulary=number("vocab_size"),
        kv_bytes_per_token=full * per_layer,
        window=number("sliding_window") if narrow else 0,
        window_bytes_per_token=narrow * per_layer,
        chat_template=_chat_template(folder),
        licence=_licence(folder),
        file_size=sum(file.stat().st_size for file in weights),
        parts=len(weights),
    )


def _json_file(file: Path) -> dict[str, Any] | None:
    """An object from a JSON file, or ``None`` where there is no file."""
    try:
        found = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ModelError(f"{file} is not JSON: {error}", hint="fetch the model again") from error
    if not isinstance(found, dict):
        raise ModelError(f"{file} is not a JSON object", hint="fetch the model again")
    return found


def _tensors(file: Path) -> list[tuple[str, str, list[int]]]:
    """Name, type and shape of each tensor; whether the file is whole.

    :raises ModelError: not safetensors, or cut short.
    """
    cut = ModelError(f"{file} is cut short, or no safetensors", hint="fetch the model again")
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if length > min(size - 8, _LONGEST_HEADER):
                raise cut
            header = json.loads(stream.read(length))
        rows = [(name, t) for name, t in header.items() if name != "__metadata__"]
        end = max((t["data_offsets"][1] for _, t in rows), default=0)
        found = [(name, t["dtype"], t["shape"]) for name, t in rows]
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise cut from error
    if 8 + length + end > size:
        raise cut
    return found


def _elements(name: str, kind: str, shape: list[int]) -> int:
    """Numbers in a tensor; MXFP4 packs two into a byte and keeps scales apart."""
    if kind == "U8" and name.endswith("_scales"):
        return 0
    return math.prod(shape) * (2 if kind == "U8" and name.endswith("_blocks") else 1)


def _quantisation(config: dict[str, Any], tensors: list[tuple[str, str, list[int]]]) -> str:
    quantised = config.get("quantization_config")
    if isinstance(quantised, dict) and (method := quantised.get("quant_method")):
        return str(method).upper()
    weight: Counter[str] = Counter()
    for _, kind, shape in tensors:
        weight[kind] += math.prod(shape)
    return weight.most_common(1)[0][0] if weight else ""


def _chat_template(folder: Path) -> str:
    try:
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        pass
    template = (_json_file(folder / "tokenizer_config.json") or {}).get("chat_template")
    if isinstance(template, list):  # several, by name
        named = {t.get("name"): t.get("template") for t in template if isinstance(t, dict)}
        template = named.get("default") or next(iter(named.values()), "")
    return template if isinstance(template, str) else ""


def _licence(folder: Path) -> str:
    """The licence in the front matter of the model's card, where the card is there."""
    try:
        card = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    head = card.partition("---")[2].partition("\n---")[0]
    match = re.search(r"^license:\s*(\S+)\s*$", head, re.MULTILINE)
    return match[1] if match else ""
