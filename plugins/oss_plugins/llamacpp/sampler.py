"""Draws tokens as llama.cpp's server does, with its defaults, through llama-cpp-python."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import llama_cpp
import numpy as np

from oss.contracts.chat import TokenLogprob
from oss.contracts.errors import UsageError

if TYPE_CHECKING:
    from oss.contracts.chat import Sampling
    from oss_plugins.llamacpp.capi import Native

_PENALTY_WINDOW = 64
_TOKEN = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Sampler:
    """A chain of samplers, and a grammar beside it.

    The grammar is asked about the drawn token alone, and about all tokens only when it refuses
    that one: asking about all each time would cost more than the model does.

    :raises UsageError: the grammar cannot be read.
    """

    def __init__(self, native: Native, sampling: Sampling, grammar: str | None) -> None:
        self._native = native
        self._chain = llama_cpp.llama_sampler_chain_init(
            llama_cpp.llama_sampler_chain_default_params()
        )
        for sampler in _samplers(native, sampling):
            llama_cpp.llama_sampler_chain_add(self._chain, sampler)
        self._grammar = None
        if grammar is not None:
            self._grammar = llama_cpp.llama_sampler_init_grammar(
                native.vocab, grammar.encode(), b"root"
            )
            if not self._grammar:
                self.close()
                raise UsageError("the JSON Schema cannot be used: no grammar comes of it")

    def close(self) -> None:
        """Free it."""
        llama_cpp.llama_sampler_free(self._chain)
        if self._grammar:
            llama_cpp.llama_sampler_free(self._grammar)
            self._grammar = None

    def draw(self) -> int:
        """The next token, after the evaluation of the last."""
        if self._grammar is None:
            token: int = llama_cpp.llama_sampler_sample(self._chain, self._native.context, -1)
            return token
        logits = self._native.logits()
        token = self._apply(_candidates(logits), with_grammar=False)
        if not self._allows(token, float(logits[token])):
            token = self._apply(_candidates(logits), with_grammar=True)
        llama_cpp.llama_sampler_accept(self._grammar, token)
        llama_cpp.llama_sampler_accept(self._chain, token)
        return token

    def _apply(self, tokens: np.ndarray[Any, Any], *, with_grammar: bool) -> int:
        array = _array(tokens)
        if with_grammar:
            llama_cpp.llama_sampler_apply(self._grammar, ctypes.byref(array))
        llama_cpp.llama_sampler_apply(self._chain, ctypes.byref(array))
        return int(array.data[array.selected].id)

    def _allows(self, token: int, logit: float) -> bool:
        one = np.array([(token, logit, 0)], dtype=_TOKEN)
        array = _array(one)
        llama_cpp.llama_sampler_apply(self._grammar, ctypes.byref(array))
        return bool(np.isfinite(array.data[0].logit))


def _samplers(native: Native, sampling: Sampling) -> list[Any]:
    def given(value: float | None, default: float) -> float:
        return default if value is None else value

    temperature = given(sampling.temperature, 0.8)
    chain = [
        llama_cpp.llama_sampler_init_penalties(
            native.vocabulary,
            _PENALTY_WINDOW,
            given(sampling.repeat_penalty, 1.0),
            given(sampling.frequency_penalty, 0.0),
            given(sampling.presence_penalty, 0.0),
        )
    ]
    if temperature <= 0:
        return [*chain, llama_cpp.llama_sampler_init_greedy()]
    seed = llama_cpp.LLAMA_DEFAULT_SEED if sampling.seed is None else sampling.seed & 0xFFFFFFFF
    return [
        *chain,
        llama_cpp.llama_sampler_init_top_k(int(given(sampling.top_k, 40))),
        llama_cpp.llama_sampler_init_top_p(given(sampling.top_p, 0.95), 1),
        llama_cpp.llama_sampler_init_min_p(given(sampling.min_p, 0.05), 1),
        llama_cpp.llama_sampler_init_temp(temperature),
        llama_cpp.llama_sampler_init_dist(seed),
    ]


def _candidates(logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    tokens: np.ndarray[Any, Any] = np.zeros(len(logits), dtype=_TOKEN)
    tokens["id"] = np.arange(len(logits))
    tokens["logit"] = logits
    return tokens


def _array(tokens: np.ndarray[Any, Any]) -> Any:
    data = tokens.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token_data))
    return llama_cpp.llama_token_data_array(data, len(tokens), -1, False)


def logprob(native: Native, token: int, count: int) -> TokenLogprob:
    """The probability of the token just drawn, and the ``count`` best, before any sampler."""
    logits = native.logits()
    highest = logits.max()
    total = highest + np.log(np.exp(logits - highest).sum())
    best = np.argsort(logits)[::-1][:count] if count else []

    def text(of: int) -> str:
        return native.piece(int(of), special=True).decode("utf-8", "replace")

    return TokenLogprob(
        text(token),
        float(logits[token] - total),
        tuple((text(each), float(logits[each] - total)) for each in best),
    )
