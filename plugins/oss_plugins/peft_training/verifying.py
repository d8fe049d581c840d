"""Loads an adapter on its base and looks at what it does to the logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oss.contracts.adapter import Verified
from oss.contracts.errors import ModelError
from oss_plugins.peft_training.base import decided_precision, load_config, load_model
from oss_plugins.peft_training.running import quiet
from oss_plugins.peft_training.whole import WEIGHTS, load_changes

if TYPE_CHECKING:
    from collections.abc import Set
    from pathlib import Path

    import torch
    from transformers import PreTrainedModel

    from oss.contracts.adapter import TrainJob
    from oss_plugins.peft_training.methods import PeftMethod

_PROBES = 4
_PROBE_TOKENS = 24


def verify(adapter: Path, base: Path) -> Verified:
    """Compare the logits of the base with and without the adapter, on fixed tokens.

    :raises ModelError: a tensor of the adapter finds no place, or nothing changes.
    """
    with quiet():
        model = load_model(base, precision_of(base))
        before = probe(model)
        adapted, tensors = attach(model, adapter, base)
        change = float((probe(adapted) - before).abs().mean())
    _must_change(change, adapter)
    return Verified(change=change, tensors=tensors)


def compare_saved(method: PeftMethod, job: TrainJob, trained: torch.Tensor) -> Verified:
    """Load what was saved on the untouched base, and hold its logits to those of training's end.

    :param trained: :func:`probe` of the model that was trained.
    :raises ModelError: the adapter does nothing, or not what was trained.
    """
    with quiet():
        model = load_model(job.base, job.settings.precision, four_bits=method.four_bits)
        before = probe(model)
        adapted, tensors = attach(model, job.out, job.base)
        again = probe(adapted)
    change = float((trained - before).abs().mean())
    _must_change(change, job.out)
    apart = distance(trained, again)
    if not apart <= allowed(change, job.settings.precision):
        raise ModelError(
            f"the adapter that was saved is not what was trained: loaded again, its logits are "
            f"{apart:.2g} apart of {change:.2g}",
            hint="the checkpoints are kept; please report this with the output of `oss train "
            "--recipe`",
        )
    return Verified(change=change, tensors=tensors, correlation=correlation(trained, again, before))


def _must_change(change: float, adapter: Path) -> None:
    if not change > 0:
        raise ModelError(
            f"the adapter in {adapter} does nothing: the logits are those of the base",
            hint="it was not trained, or trained for other modules; train it anew",
        )


def distance(one: torch.Tensor, two: torch.Tensor) -> float:
    """Mean absolute difference."""
    return float((one - two).abs().mean())


def allowed(change: float, precision: str) -> float:
    """How far the logits of one model in two forms may be apart, of the change it makes: fp32
    sums differ by about 1e-5 of it, bf16 by a few hundredths.
    """
    return max(1e-4, change * (0.01 if decided_precision(precision) == "fp32" else 0.25))


def correlation(one: torch.Tensor, two: torch.Tensor, base: torch.Tensor) -> float:
    """Of what two forms of a model change in the logits of the base."""
    import torch

    changes = torch.stack([(one - base).flatten().double(), (two - base).flatten().double()])
    return float(torch.corrcoef(changes)[0, 1])


def precision_of(base: Path) -> str:
    """``bf16`` for a base that is kept so (or in MXFP4), else ``fp32``."""
    kept = str(getattr(load_config(base), "dtype", "") or "")
    return "bf16" if kept.endswith("bfloat16") else "fp32"


def attach(model: PreTrainedModel, adapter: Path, base: Path) -> tuple[Any, int]:
    """The model with the adapter on it, and how many tensors the adapter has.

    :raises ModelError: a tensor finds no place, or the model wants one that is not there.
    """
    if (adapter / WEIGHTS).exists():
        return model, load_changes(model, adapter)
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import SafetensorError, safe_open

    file = adapter / "adapter_model.safetensors"
    try:
        with safe_open(file, "pt") as tensors:
            kept = {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from error
    try:
        adapted = PeftModel.from_pretrained(model, adapter)
    except (RuntimeError, ValueError, KeyError) as error:
        raise misfit(adapter, base, str(error)) from error
    check_places(adapter, base, kept.keys(), get_peft_model_state_dict(adapted).keys())
    adapted.eval()
    return adapted, len(kept)


def check_places(adapter: Path, base: Path, kept: Set[str], wanted: Set[str]) -> None:
    """Each tensor has its place, and each place its tensor.

    :raises ModelError: not so.
    """
    homeless, missing = sorted(kept - wanted), sorted(wanted - kept)
    if homeless or missing:
        what = f"'{homeless[0]}' has no place" if homeless else f"'{missing[0]}' is missing"
        counts = f"({len(homeless)} without a place, {len(missing)} missing)"
        raise misfit(adapter, base, f"{what} {counts}")


def misfit(adapter: Path, base: Path, reason: str) -> ModelError:
    """The error for an adapter that belongs to another base.

    :param reason: what a library said of it, in however many lines.
    """
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    first = next((line for line in lines if "mismatch" in line), lines[0])
    return ModelError(
        f"the adapter in {adapter} does not fit the base in {base}: {first}",
        hint="`oss adapter show` says which base it was made for",
    )


def probe(model: Any) -> torch.Tensor:
    """Logits (probes, tokens, vocabulary) on tokens drawn with a fixed seed."""
    import torch

    model.eval()
    vocabulary = model.config.get_text_config().vocab_size
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, vocabulary, (_PROBES, _PROBE_TOKENS), generator=draw)
    with torch.no_grad():
        out = model(input_ids=tokens.to(model.device), use_cache=False)
    # prompt tuning answers for its invisible tokens too; they stand before the others
    logits: torch.Tensor = out.logits[:, -_PROBE_TOKENS:].float().cpu()
    return logits
