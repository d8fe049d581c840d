"""Keeps an answer to a JSON Schema, token by token, with llguidance."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from oss.contracts.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Constrainer:
    """Makes constraints for one tokenizer; the first takes a second or so.

    :raises ImportError: llguidance is not installed.
    """

    def __init__(self, tokenizer: Any, vocabulary: int, eos: Iterable[int]) -> None:
        import llguidance.hf

        self._tokenizer = llguidance.hf.from_tokenizer(
            tokenizer, n_vocab=vocabulary, eos_token=list(eos)
        )
        self._vocabulary = vocabulary

    def for_schema(self, schema: Mapping[str, Any]) -> Constraint:
        """The answer is one JSON value that the schema accepts."""
        from llguidance import LLMatcher

        return self._make(LLMatcher.grammar_from_json_schema(dict(schema)))

    def for_call(self, schema: Mapping[str, Any]) -> Constraint:
        """The answer is such a value, or a text that does not begin with a brace."""
        grammar = "\n".join(
            (
                "%llguidance {}",
                "start: call | text",
                f"call: %json {json.dumps(schema)}",
                r"text: /[^{](.|\n)*/",
            )
        )
        return self._make(grammar)

    def _make(self, grammar: str) -> Constraint:
        from llguidance import LLMatcher

        matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise UsageError(
                f"the JSON Schema cannot be kept to: {matcher.get_error().splitlines()[0]}",
                hint="simplify it; llguidance names what it does not know",
            )
        return Constraint(matcher, self._vocabulary)


class Constraint:
    """The state of one constrained answer."""

    def __init__(self, matcher: Any, vocabulary: int) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary

    def mask(self, logits: Any) -> Any:
        """The logits (vocabulary,) with every token that may not come next at minus infinity."""
        packed = torch.frombuffer(bytearray(self._matcher.compute_bitmask()), dtype=torch.uint8)
        bits = (packed.unsqueeze(1) >> torch.arange(8, dtype=torch.uint8)) & 1
        allowed = bits.flatten()[: logits.shape[0]].bool().to(logits.device)
        found = torch.full_like(logits, -torch.inf)
        found[: allowed.shape[0]] = logits[: allowed.shape[0]].masked_fill(~allowed, -torch.inf)
        return found

    def take(self, token: int) -> bool:
        """Go on by a token; whether the answer is complete."""
        self._matcher.consume_token(token)
        return bool(self._matcher.is_stopped())
