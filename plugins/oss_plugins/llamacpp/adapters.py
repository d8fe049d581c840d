"""Whether an adapter belongs to a model, and whether it does anything."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from oss.contracts.chat import ChatRequest, Sampling
from oss.contracts.errors import BackendError
from oss.contracts.messages import Message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import Engine
    from oss.contracts.chat import TokenLogprob

_TRANSPOSED = "token_embd.weight"


def check_headers(model: Path, adapters: Sequence[AdapterRef]) -> None:
    """Refuse, before the model loads, what is not made for it.

    :raises BackendError: an adapter is absent, no GGUF LoRA, named twice, or for another model.
    :raises ModelError: a file is cut short.
    """
    if not adapters:
        return
    from oss.models.gguf import read_header

    base = read_header(model)
    architecture = base.values.get("general.architecture", "unknown")
    shapes = {tensor.name: tensor.shape for tensor in base.tensors}
    names: set[str] = set()
    for adapter in adapters:
        if adapter.name in names:
            raise BackendError(f"two adapters are named '{adapter.name}'")
        names.add(adapter.name)
        if adapter.path.is_dir():
            raise BackendError(
                f"adapter '{adapter.name}' is a PEFT folder; llamacpp takes GGUF files",
                hint="export it as GGUF, or use the backend transformers",
            )
        if not adapter.path.exists():
            raise BackendError(f"adapter '{adapter.name}': no file at {adapter.path}")
        header = read_header(adapter.path)
        if header.values.get("general.type") != "adapter":
            raise BackendError(
                f"{adapter.path} is a model, not an adapter", hint="give it as --model"
            )
        wanted = header.values.get("general.architecture", "unknown")
        if wanted != architecture:
            raise BackendError(
                f"adapter '{adapter.name}' is for a model of architecture '{wanted}'; "
                f"{model.name} is '{architecture}'"
            )
        _check_shapes(adapter, {each.name: each.shape for each in header.tensors}, shapes)


def _check_shapes(
    adapter: AdapterRef,
    found: Mapping[str, tuple[int, ...]],
    base: Mapping[str, tuple[int, ...]],
) -> None:
    for name, shape in found.items():
        if not name.endswith(".lora_a"):
            continue
        weight = name.removesuffix(".lora_a")
        second = found.get(f"{weight}.lora_b")
        if weight not in base or second is None:
            missing = "the model" if weight not in base else "its other half"
            raise BackendError(
                f"adapter '{adapter.name}' is for another model: {missing} has no '{weight}'"
            )
        if weight == _TRANSPOSED:
            continue
        made_for = (shape[0], second[1])
        if made_for != base[weight][:2]:
            raise BackendError(
                f"adapter '{adapter.name}' is for another model: '{weight}' is "
                f"{_by(made_for)} there, {_by(base[weight][:2])} in the model"
            )


def _by(shape: tuple[int, ...]) -> str:
    return " by ".join(str(length) for length in shape)


async def check_effect(engine: Engine, adapters: Sequence[AdapterRef]) -> None:
    """Refuse an adapter that leaves the probabilities of a next token exactly as they were.

    :raises BackendError: an adapter does nothing.
    """
    off = {adapter.name: 0.0 for adapter in adapters}
    without = await _next_token(engine, off) if adapters else ()
    for adapter in adapters:
        if await _next_token(engine, {**off, adapter.name: 1.0}) == without:
            raise BackendError(
                f"adapter '{adapter.name}' changes nothing in what the model says",
                hint="its training did not reach the file: train or export it again",
            )
    # What stays in the prompt cache must have been evaluated as later requests will be.
    if [adapter.scale for adapter in adapters] != [1.0] * len(adapters[:1]):
        await _next_token(engine, {})


async def _next_token(engine: Engine, scales: Mapping[str, float]) -> tuple[TokenLogprob, ...]:
    request = ChatRequest(
        (Message("user", "Hello"),),
        # With a seed nothing comes from the prompt cache: both are evaluated alike.
        Sampling(temperature=0, max_tokens=1, seed=0),
        logprobs=5,
        adapter_scales=scales,
    )
    async with aclosing(engine.chat(request)) as deltas:  # type: ignore[type-var]
        return tuple([each async for delta in deltas for each in delta.logprobs])
