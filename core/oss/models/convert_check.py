"""Does a converted model answer as its GGUF source does in llama.cpp?"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import torch

from oss.contracts.chat import ChatRequest, Sampling
from oss.contracts.messages import Message
from oss.contracts.model import LocalModel
from oss.plugins.options import validate

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.chat import TokenLogprob
    from oss.plugins.manager import Plugins

PROMPTS = (
    "What is the capital of France?",
    "Translate into English: Привет, мир!",
    "def fibonacci(n):",
)
STEPS = 6
ALTERNATIVES = 10
LIKELY = math.log(0.02)
"""Tokens less likely than this are noise in both."""

TOLERANCE = 0.4
"""The mean difference of log-probabilities that rounding may explain. llama.cpp multiplies
quantised weights with 8-bit activations: the starter model (Q4_1) gives 0.10 with float32
weights, 0.15 with bfloat16; query weights in the wrong order give infinity.
"""


def mean_difference(gguf: Path, model: Any, tokenizer: Any, plugins: Plugins) -> float | None:
    """The mean absolute difference of the log-probabilities of likely tokens over a few
    prompts; infinite where a token of one is unknown to the other; ``None`` without llama.cpp.
    """
    backend = plugins.load("backends", "llamacpp")
    if backend.problem() is not None:
        return None
    given = validate(plugins.find("backends", "llamacpp"), {}, "backend.llamacpp")
    options = {**given, "context": 512}
    said = asyncio.run(_llama(backend(), gguf, options))
    differences: list[float] = []
    for prompt, tokens in zip(PROMPTS, said, strict=True):
        differences += _compare(prompt, tokens, model, tokenizer)
    return sum(differences) / len(differences)


async def _llama(backend: Any, gguf: Path, options: dict[str, Any]) -> list[list[TokenLogprob]]:
    found = []
    source = LocalModel(gguf.name, f"file:{gguf}", "gguf", gguf)
    async with backend.open(source, (), options) as engine:
        for prompt in PROMPTS:
            request = ChatRequest(
                (Message("user", prompt),),
                Sampling(temperature=0, max_tokens=STEPS),
                logprobs=ALTERNATIVES,
            )
            found.append([t async for delta in engine.chat(request) for t in delta.logprobs])
    return found


def _compare(prompt: str, tokens: list[TokenLogprob], model: Any, tokenizer: Any) -> list[float]:
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], add_generation_prompt=True, return_dict=True
    )["input_ids"]
    differences = []
    for token in tokens:
        with torch.inference_mode():
            logits = model(torch.tensor([ids], device=model.device)).logits[0, -1]
        best = torch.log_softmax(logits.float(), dim=-1).topk(4 * ALTERNATIVES)
        here = {
            tokenizer.decode([index]): (index, value)
            for index, value in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        }
        if "\ufffd" in token.token:
            break  # a part of a character: such tokens have no text to be known by
        likely = [(text, value) for text, value in token.top if value > LIKELY]
        differences += [
            abs(here[text][1] - value) if text in here else math.inf
            for text, value in likely
            if "\ufffd" not in text
        ]
        if token.token not in here:
            break
        ids = [*ids, here[token.token][0]]
    return differences
