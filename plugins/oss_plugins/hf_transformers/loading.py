"""Weights, tokenizer and adapters from their folders."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from oss.contracts.errors import BackendError, CapabilityError, ModelError
from oss.models.memory import machine_memory
from oss_plugins.hf_transformers.embedding import pooling_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from oss.contracts.adapter import AdapterRef
    from oss_plugins.hf_transformers.embedding import Pooling

_PROBE = "The quick brown fox jumps over the lazy dog."


@dataclass
class Loaded:
    """An open model.

    :ivar model: a ``PreTrainedModel``, or a ``PeftModel`` around one where there are adapters.
    :ivar keys: adapter name to what PEFT calls it (PEFT forbids dots in names).
    :ivar experts: per layer; 0 for a dense model.
    :ivar pooling: how tokens become one vector.
    """

    model: Any
    tokenizer: Any
    context: int
    experts: int
    pooling: Pooling = "mean"
    adapters: tuple[AdapterRef, ...] = ()
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def eos(self) -> frozenset[int]:
        """The tokens that end an answer."""
        found = self.model.generation_config.eos_token_id
        ids = set(found if isinstance(found, list) else [found]) | {self.tokenizer.eos_token_id}
        return frozenset(ids - {None})

    @property
    def scalable(self) -> bool:
        """Whether the adapters act at other scales than 1: LoRA and its kin do."""
        return any(hasattr(module, "set_scale") for module in self.model.modules())

    def set_scales(self, scales: Mapping[str, float]) -> None:
        """Let the adapters act at these scales from here on; 0 is off."""
        if not self.keys:
            return
        acting = [name for name in self.keys if scales.get(name, 0.0)]
        tuner = self.model.base_model
        if not acting:
            tuner.disable_adapter_layers()
            return
        tuner.enable_adapter_layers()
        keys = [self.keys[name] for name in acting]
        tuner.set_adapter(keys if len(keys) > 1 else keys[0])
        for module in self.model.modules():
            if hasattr(module, "set_scale"):
                for name in acting:
                    module.set_scale(self.keys[name], scales[name])


def load(path: Path, adapters: Sequence[AdapterRef], options: Mapping[str, Any]) -> Loaded:
    """Load everything; takes seconds to minutes.

    :raises ModelError: the folder is not whole, or transformers does not know the architecture.
    :raises BackendError: an adapter cannot be loaded, or does nothing.
    """
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    if options["threads"]:
        torch.set_num_threads(options["threads"])
    device = _device(options["device"])
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        model, report = AutoModelForCausalLM.from_pretrained(
            path,
            local_files_only=True,
            use_safetensors=True,
            dtype=_dtype(options["dtype"], device, path),
            device_map="auto" if device == "cuda" else None,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, json.JSONDecodeError) as error:
        raise _broken(path, error) from error
    except Exception as error:
        if type(error).__module__.startswith("safetensors"):
            raise _broken(path, error) from error
        raise
    if missing := report["missing_keys"]:
        raise ModelError(
            f"{path} lacks weights: {sorted(missing)[0]} and {len(missing) - 1} more",
            hint="fetch the model again; transformers would make them up at random",
        )
    if device == "mps":
        model = model.to(device)
    model.eval()
    config = model.config.get_text_config()
    loaded = Loaded(
        model,
        tokenizer,
        _context(config, options["context"]),
        getattr(config, "num_local_experts", None) or getattr(config, "num_experts", None) or 0,
        pooling_of(path),
    )
    for adapter in adapters:
        _add_adapter(loaded, adapter)
    return loaded


def _broken(path: Path, error: Exception) -> ModelError:
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ModelError(f"transformers cannot open {path}: {line[:300]}")


def _device(wanted: str) -> str:
    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    here = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if wanted in here and not here[wanted]():
        raise CapabilityError(
            f"torch finds no {wanted} device here",
            hint='set backend.transformers.device to "auto", or install torch for it',
        )
    return wanted


def _dtype(wanted: str, device: str, path: Path) -> Any:
    """CPUs without matrix units for bfloat16 are twice as fast in float32."""
    if wanted == "saved" or (wanted == "auto" and device != "cpu"):
        return "auto"
    if wanted != "auto":
        return getattr(torch, wanted)
    weights = sum(file.stat().st_size for file in path.glob("*.safetensors"))
    quantised = '"quant_method"' in (path / "config.json").read_text(encoding="utf-8")
    in_float32 = weights * (8 if quantised else 2)  # MXFP4 has 4.25 bits, most others 16
    usable = machine_memory().usable
    return torch.float32 if not usable or in_float32 < usable else "auto"


def _context(config: Any, wanted: int) -> int:
    trained = getattr(config, "max_position_embeddings", None) or 0
    if wanted and trained:
        return min(wanted, trained)
    return int(wanted or trained or 4096)


def _add_adapter(loaded: Loaded, adapter: AdapterRef) -> None:
    if adapter.format != "peft":
        raise CapabilityError(
            f"adapter '{adapter.name}' is a GGUF file, and transformers takes PEFT folders",
            hint="use its PEFT folder, or backend llamacpp",
        )
    if not (adapter.path / "adapter_model.safetensors").is_file():
        raise BackendError(f"adapter '{adapter.name}': {adapter.path} has no .safetensors weights")
    try:
        from peft import PeftModel
    except ImportError as error:
        raise CapabilityError(
            "adapters need 'peft', which is not installed",
            hint="pip install 'oss-workbench[transformers]'",
        ) from error
    before = _probe(loaded)
    key = f"adapter{len(loaded.keys)}"
    try:
        with warnings.catch_warnings():
            # PEFT asks transformers for names that it renamed: no concern of the user's.
            warnings.simplefilter("ignore", FutureWarning)
            if loaded.keys:
                report = loaded.model.load_adapter(adapter.path, adapter_name=key)
            else:
                loaded.model = PeftModel.from_pretrained(
                    loaded.model, adapter.path, adapter_name=key
                )
                report = None
        if report is not None and report.unexpected_keys:
            raise ValueError(f"weights that fit nothing: {report.unexpected_keys[0]}")
    except (ValueError, RuntimeError, KeyError, OSError) as error:
        line = str(error).strip().splitlines()[0]
        raise BackendError(f"adapter '{adapter.name}' cannot be loaded: {line[:300]}") from error
    loaded.model.eval()
    loaded.keys[adapter.name] = key
    loaded.adapters = (*loaded.adapters, adapter)
    loaded.set_scales({adapter.name: 1.0})
    if torch.equal(before, _probe(loaded)):
        raise BackendError(
            f"adapter '{adapter.name}' changes nothing in this model",
            hint="was it trained, and for this model?",
        )
    loaded.set_scales({})


def _probe(loaded: Loaded) -> Any:
    ids = torch.tensor([loaded.tokenizer(_PROBE)["input_ids"]], device=loaded.model.device)
    with torch.inference_mode():
        return loaded.model(input_ids=ids).logits
