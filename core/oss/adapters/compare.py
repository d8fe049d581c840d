"""Compares adapters with each other, and what one does on two engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oss.contracts.adapter import AdapterRef
from oss.contracts.chat import ChatRequest, Sampling
from oss.contracts.messages import Message

if TYPE_CHECKING:
    from oss.adapters.registry import Adapter
    from oss.contracts.backend import Engine
    from oss.contracts.model import LocalModel
    from oss.plugins.manager import Plugins

PROMPTS = (
    "What is the capital of Sweden?",
    "Как приготовить чай?",
    "Write one sentence about the sea.",
    "How many legs does a spider have?",
    "Name three colours.",
    "Why do we sleep?",
)
_ALTERNATIVES = 20


def differences(one: Adapter, two: Adapter) -> list[tuple[str, Any, Any]]:
    """Dotted key and both values, for each that differs in the cards."""
    import msgspec

    flat = [dict(_flatten(msgspec.to_builtins(each.card))) for each in (one, two)]
    keys = sorted(flat[0].keys() | flat[1].keys())
    return [
        (key, flat[0].get(key), flat[1].get(key))
        for key in keys
        if flat[0].get(key) != flat[1].get(key) and not key.startswith("files.")
    ]


def _flatten(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(path, value)]
    return [
        pair
        for key, item in value.items()
        for pair in _flatten(item, f"{path}.{key}" if path else str(key))
    ]


async def agreement(adapter: Adapter, gguf: LocalModel, hf: LocalModel, plugins: Plugins) -> float:
    """Correlation of what the adapter changes in the first token's log-probabilities through
    llama.cpp and through Transformers; 1 is the same change.

    Only tokens that both engines name among the likeliest, with the adapter and without, count.
    """
    changes = [
        await _changes(adapter, "llamacpp", gguf, plugins),
        await _changes(adapter, "transformers", hf, plugins),
    ]
    pairs = [(changes[0][key], changes[1][key]) for key in changes[0].keys() & changes[1].keys()]
    return correlation(pairs)


def correlation(pairs: list[tuple[float, float]]) -> float:
    """Pearson's; 0 where there is too little to compare."""
    if len(pairs) < 3:
        return 0.0
    means = [sum(pair[side] for pair in pairs) / len(pairs) for side in (0, 1)]
    products = sum((a - means[0]) * (b - means[1]) for a, b in pairs)
    squares = [sum((pair[side] - means[side]) ** 2 for pair in pairs) for side in (0, 1)]
    return float(products / (squares[0] * squares[1]) ** 0.5) if min(squares) > 0 else 0.0


async def _changes(
    adapter: Adapter, backend_name: str, model: LocalModel, plugins: Plugins
) -> dict[tuple[str, str], float]:
    from oss.adapters.locate import shown_to
    from oss.plugins.options import validate

    backend = plugins.load("backends", backend_name)()
    descriptor = plugins.find("backends", backend_name)
    options = validate(descriptor, {}, f"backend.{backend_name}")
    options["context"] = 1024
    ref = shown_to(AdapterRef(adapter.name, adapter.folder), backend.formats)
    async with backend.open(model, [ref], options) as engine:
        with_it = await _first_tokens(engine, adapter.name, 1.0)
        without = await _first_tokens(engine, adapter.name, 0.0)
    return {key: with_it[key] - without[key] for key in with_it.keys() & without.keys()}


async def _first_tokens(engine: Engine, name: str, scale: float) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for prompt in PROMPTS:
        request = ChatRequest(
            messages=(Message("user", prompt),),
            sampling=Sampling(temperature=0, max_tokens=1),
            logprobs=_ALTERNATIVES,
            adapter_scales={name: scale},
        )
        async for delta in engine.chat(request):
            for token in delta.logprobs[:1]:
                for text, logprob in token.top:
                    found[prompt, text] = logprob
    return found
