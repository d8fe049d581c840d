"""A PEFT folder as a GGUF LoRA file for llama.cpp, with numpy alone.

What llama.cpp wants (``convert_lora_to_gguf.py`` and ``llama-adapter.cpp`` of that project): the
base's architecture, one alpha for the whole file, tensors ``NAME.lora_a`` (r, in) and ``.lora_b``
(out, r) under its own names, and for the llama family the rows of ``q`` and ``k`` in its own order.
Its converter refuses PEFT's names for experts; here they are taken apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from oss.adapters.peft_folder import start_in_base
from oss.contracts.errors import CapabilityError, ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# model_type of the configuration to the architecture's name in GGUF. In the families marked True
# llama.cpp's converter reorders the rows of q and k for its rotary embedding.
ARCHITECTURES: dict[str, tuple[str, bool]] = {
    "llama": ("llama", True),
    "mistral": ("llama", True),
    "gpt_oss": ("gpt-oss", False),
    "qwen2": ("qwen2", False),
    "qwen3": ("qwen3", False),
    "gemma2": ("gemma2", False),
    "gemma3_text": ("gemma3", False),
    "phi3": ("phi3", False),
}
_LAYER = re.compile(r"^(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<side>[ABE])(?:\.weight)?$")


@dataclass(frozen=True)
class Pair:
    """Factors of a change as llama.cpp takes them: ``a`` (.., r, in), ``b`` (.., out, r)."""

    a: np.ndarray[Any, Any]
    b: np.ndarray[Any, Any]

    def delta(self, alpha: float) -> np.ndarray[Any, Any]:
        """The change of the weight that llama.cpp makes of the factors."""
        change: np.ndarray[Any, Any] = np.matmul(self.b, self.a) * (alpha / self.a.shape[-2])
        return change


def convert(adapter: Path, config: Mapping[str, Any]) -> tuple[str, float, dict[str, Pair]]:
    """Architecture, alpha, and the factors under llama.cpp's names.

    :param config: of the base model (its ``config.json``).
    :raises CapabilityError: something of the adapter has no form in GGUF.
    :raises ModelError: the folder is damaged.
    """
    import gguf

    model_type = str(config.get("model_type"))
    if model_type not in ARCHITECTURES:
        raise CapabilityError(
            f"adapters for '{model_type}' models are not exported to GGUF",
            hint="`oss adapter merge` gives a whole model that can be converted",
        )
    name, permuted = ARCHITECTURES[model_type]
    architecture = next(k for k, value in gguf.MODEL_ARCH_NAMES.items() if value == name)
    names = gguf.get_tensor_name_map(architecture, int(config["num_hidden_layers"]))
    settings = read_config(adapter)
    alpha = float(settings.get("lora_alpha") or 0) or float(settings["r"])
    heads = int(config["num_attention_heads"])
    kv_heads = int(config.get("num_key_value_heads") or heads)
    pairs: dict[str, Pair] = {}
    for module, (a, b) in read_factors(adapter).items():
        if not a.shape[0]:
            continue  # AdaLoRA took all rank away from this layer
        if ".experts" in module:
            pairs.update(_experts(module, a, b, settings, config, alpha))
            continue
        target = names.get_name(f"{module}.weight", try_suffixes=(".weight",))
        if target is None:
            raise CapabilityError(
                f"'{module}' has no counterpart in GGUF", hint="`oss adapter merge` keeps it"
            )
        b = b * _fold(module, a.shape[0], settings, alpha)
        if permuted and module.endswith("q_proj"):
            b = permute(b, heads)
        elif permuted and module.endswith("k_proj"):
            b = permute(b, kv_heads)
        pairs[target if target.endswith(".weight") else f"{target}.weight"] = Pair(a, b)
    if not pairs:
        raise ModelError(f"{adapter} holds no LoRA tensors")
    return name, alpha, pairs


def has_factors(adapter: Path) -> bool:
    """Whether the change is the product of two factors for each tensor, and nothing else."""
    import json

    try:
        settings = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    saved = settings.get("modules_to_save") or settings.get("trainable_token_indices")
    return (
        settings.get("peft_type") in {"LORA", "ADALORA"}
        and not settings.get("use_dora")
        and not saved
    )


def read_config(adapter: Path) -> dict[str, Any]:
    """The adapter's own configuration.

    :raises ModelError: absent or not JSON.
    :raises CapabilityError: the method is none that GGUF can hold.
    """
    import json

    try:
        settings: dict[str, Any] = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{adapter / 'adapter_config.json'} cannot be read: {error}") from error
    kind = settings.get("peft_type")
    if kind not in {"LORA", "ADALORA"} or settings.get("use_dora"):
        what = "DoRA" if settings.get("use_dora") else str(kind)
        raise CapabilityError(
            f"llama.cpp has no adapters of kind {what}",
            hint="`oss adapter merge` makes a whole model of it",
        )
    if start := start_in_base(settings):
        raise CapabilityError(
            f"the adapter is kept as '{start}' trains it, which changes the base too",
            hint="save it with PEFT's `path_initial_model_for_weight_conversion`",
        )
    if settings.get("modules_to_save") or settings.get("trainable_token_indices"):
        raise CapabilityError(
            "the adapter holds whole modules, which a GGUF adapter cannot",
            hint="`oss adapter merge` makes a whole model of it",
        )
    return settings


def read_factors(
    adapter: Path,
) -> dict[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Both factors by module name in fp32; AdaLoRA's singular values are folded into A."""
    from safetensors import SafetensorError, safe_open

    sides: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
    file = adapter / "adapter_model.safetensors"
    try:
        # bfloat16 has no numpy type; torch reads it where it is at hand.
        with safe_open(file, "pt") as tensors:
            for key in tensors.keys():  # noqa: SIM118  not a dict
                if key.endswith("ranknum"):
                    continue
                found = _LAYER.match(key)
                if found is None:
                    raise CapabilityError(
                        f"'{key}' is no LoRA tensor, and has no form in GGUF",
                        hint="`oss adapter merge` makes a whole model of it",
                    )
                value = tensors.get_tensor(key).float().numpy()
                sides.setdefault(found["module"], {})[found["side"]] = value
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from error
    factors = {}
    for module, side in sides.items():
        if not {"A", "B"} <= side.keys():
            raise ModelError(f"{file}: '{module}' has one factor only")
        a, b = side["A"], side["B"]
        if "E" in side:
            a = a * side["E"]
        factors[module] = (a, b)
    return factors


def _fold(module: str, rank: int, settings: Mapping[str, Any], alpha: float) -> float:
    """What B is multiplied with, so that the file's one alpha gives this module's scaling."""
    own_alpha = _by_pattern(module, settings.get("alpha_pattern")) or alpha
    if settings.get("peft_type") == "ADALORA":
        # PEFT goes on dividing by the rank that the layer had before any was taken away.
        scaling = own_alpha / (float(settings["init_r"]) + 1e-5)
    elif settings.get("use_rslora"):
        scaling = own_alpha / rank**0.5
    else:
        scaling = own_alpha / rank
    return float(scaling * rank / alpha)


def _by_pattern(module: str, patterns: Mapping[str, Any] | None) -> float | None:
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return float(value)
    return None


def permute(rows: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Rows of q or k in llama.cpp's order: each head's two halves interleaved."""
    return (
        rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
        .swapaxes(1, 2)
        .reshape(rows.shape)
    )


def _experts(
    module: str,
    a: np.ndarray[Any, Any],
    b: np.ndarray[Any, Any],
    settings: Mapping[str, Any],
    config: Mapping[str, Any],
    alpha: float,
) -> dict[str, Pair]:
    """The factors of all experts of a layer.

    PEFT stores A (experts * r, in) with the experts outermost, and B (out, r * experts) with the
    experts innermost. Of two wrapped parameters the inner (``base_layer``) is the first targeted.
    gpt-oss interleaves gate and up in one matrix; both share A.
    """
    count = int(config.get("num_local_experts") or config.get("num_experts") or 0)
    layer = re.search(r"layers\.(\d+)\.", module)
    if config.get("model_type") != "gpt_oss" or not count or not layer:
        raise CapabilityError(
            "experts are exported to GGUF for gpt-oss alone",
            hint="`oss adapter merge` makes a whole model of it",
        )
    rank = a.shape[0] // count
    a = np.ascontiguousarray(a.reshape(count, rank, -1))
    b = np.ascontiguousarray(b.reshape(b.shape[0], rank, count).transpose(2, 0, 1))
    b = b * _fold(module, rank, settings, alpha)
    targeted = [name for name in settings.get("target_parameters") or () if ".experts." in name]
    both = {name.rpartition(".")[2] for name in targeted} == {"gate_up_proj", "down_proj"}
    inner = module.endswith("base_layer")
    gate_up = inner if both else targeted[0].endswith("gate_up_proj")
    block = f"blk.{layer[1]}"
    if not gate_up:
        return {f"{block}.ffn_down_exps.weight": Pair(a, b)}
    return {
        f"{block}.ffn_gate_exps.weight": Pair(a, np.ascontiguousarray(b[:, 0::2])),
        f"{block}.ffn_up_exps.weight": Pair(a, np.ascontiguousarray(b[:, 1::2])),
    }


def write(
    target: Path, architecture: str, alpha: float, pairs: Mapping[str, Pair], name: str
) -> None:
    """Write the file aside, read it back and compare, then put it in its place.

    :raises ModelError: what was read back differs.
    """
    import gguf

    part = target.with_name(f".{target.name}.part")
    writer = gguf.GGUFWriter(str(part), architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    writer.add_name(name)
    for tensor, pair in pairs.items():
        writer.add_tensor(f"{tensor}.lora_a", np.ascontiguousarray(pair.a, np.float32))
        writer.add_tensor(f"{tensor}.lora_b", np.ascontiguousarray(pair.b, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    again = read(part)
    for tensor, pair in pairs.items():
        if tensor not in again or not (
            np.array_equal(again[tensor].a, pair.a.astype(np.float32))
            and np.array_equal(again[tensor].b, pair.b.astype(np.float32))
        ):
            raise ModelError(f"{part}: '{tensor}' was not written as it is")
    part.replace(target)


def read(file: Path) -> dict[str, Pair]:
    """The factors in a GGUF adapter, by the name of the tensor they change.

    :raises ModelError: the file is no GGUF adapter.
    """
    import gguf

    try:
        reader = gguf.GGUFReader(str(file))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} is no GGUF file: {error}") from error
    found = {tensor.name: np.asarray(tensor.data) for tensor in reader.tensors}
    names = {name.removesuffix(".lora_a") for name in found if name.endswith(".lora_a")}
    if not names:
        raise ModelError(f"{file} holds no LoRA tensors")
    return {name: Pair(found[f"{name}.lora_a"], found[f"{name}.lora_b"]) for name in names}


def misfits(file: Path, base: Path) -> list[str]:
    """Why a GGUF adapter does not fit a GGUF base: tensors without a place, or of another shape."""
    import gguf

    reader = gguf.GGUFReader(str(base))
    shapes = {tensor.name: tuple(int(n) for n in tensor.shape) for tensor in reader.tensors}
    wrong = []
    for name, pair in sorted(read(file).items()):
        wanted = (pair.a.shape[-1], pair.b.shape[-2], *pair.a.shape[:-2])
        if name not in shapes:
            wrong.append(f"the base has no '{name}'")
        elif shapes[name] != wanted:
            wrong.append(f"'{name}' is {shapes[name]} in the base, the adapter changes {wanted}")
    return wrong
