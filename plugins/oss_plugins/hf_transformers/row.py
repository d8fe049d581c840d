"""One request inside a batch: choosing its tokens, and turning them into text."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from oss.contracts.chat import Sampling, Timings, TokenLogprob, Usage
from oss.engines.thinking import held_back

if TYPE_CHECKING:
    from collections.abc import Callable

    from oss.contracts.chat import FinishReason
    from oss_plugins.hf_transformers.constraint import Constraint


@dataclass(frozen=True)
class Piece:
    """What one token, or the end, adds to an answer."""

    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    timings: Timings | None = None


@dataclass(eq=False)
class Row:
    """A request as the model sees it.

    :ivar ids: the prompt's tokens.
    :ivar limit: the most tokens to generate.
    :ivar emit: takes each piece; called in the worker's thread.
    :ivar cancelled: set from any thread; the row ends at its next token.
    """

    ids: list[int]
    sampling: Sampling
    limit: int
    eos: frozenset[int]
    tokenizer: Any
    emit: Callable[[Piece | BaseException], None]
    scales: dict[str, float] = field(default_factory=dict)
    logprobs: int | None = None
    constraint: Constraint | None = None
    keep_special: bool = False
    cancelled: bool = False
    done: bool = False

    def __post_init__(self) -> None:
        self._tokens: list[int] = []
        self._shown = 0  # tokens whose text is out
        self._text = ""  # text held back: it may be the beginning of a stop
        self._begun = time.perf_counter()
        self._first = 0.0
        self._warpers = _warpers(self.sampling)
        self._greedy = not self.sampling.temperature
        self._generator: Any = None

    def start(self) -> None:
        """The batch of this row begins."""
        self._begun = time.perf_counter()

    def choose(self, logits: Any) -> int:
        """The next token for these logits (vocabulary,); its text is emitted."""
        if self.cancelled:
            self._finish("cancelled")
            return self._any_eos
        logits = logits.float()
        scores = self.constraint.mask(logits) if self.constraint else logits
        scores = _penalised(scores, self._tokens, self.sampling)
        seen = torch.tensor([self.ids + self._tokens], device=scores.device)
        scores = self._warpers(seen, scores.unsqueeze(0))[0]
        token = int(scores.argmax()) if self._greedy else self._draw(scores)
        self._first = self._first or time.perf_counter()
        self._tokens.append(token)
        complete = self.constraint is not None and self.constraint.take(token)
        if token in self.eos:
            self._finish("stop")
            return token
        self._show(self._logprob(logits, token))
        if self.done:
            return token
        if complete:
            self._finish("stop")
        elif len(self._tokens) >= self.limit:
            self._finish("length")
        return token

    @property
    def _any_eos(self) -> int:
        return next(iter(self.eos), 0)

    def _draw(self, scores: Any) -> int:
        if self._generator is None:
            self._generator = torch.Generator(device=scores.device)
            if self.sampling.seed is None:
                self._generator.seed()
            else:
                self._generator.manual_seed(self.sampling.seed % 2**63)
        chances = torch.softmax(scores, dim=-1)
        return int(torch.multinomial(chances, 1, generator=self._generator))

    def _logprob(self, logits: Any, token: int) -> tuple[TokenLogprob, ...]:
        if self.logprobs is None:
            return ()
        values = torch.log_softmax(logits, dim=-1)
        best = values.topk(self.logprobs) if self.logprobs else None
        top = (
            zip(best.indices.tolist(), best.values.tolist(), strict=True)
            if best is not None
            else ()
        )
        return (
            TokenLogprob(
                self._decode([token]),
                min(float(values[token]), 0.0),
                tuple((self._decode([other]), min(value, 0.0)) for other, value in top),
            ),
        )

    def _decode(self, tokens: list[int]) -> str:
        text: str = self.tokenizer.decode(
            tokens, skip_special_tokens=not self.keep_special, clean_up_tokenization_spaces=False
        )
        return text

    def _show(self, logprobs: tuple[TokenLogprob, ...]) -> None:
        """Emit what can be shown: whole characters, and nothing that may begin a stop text.

        A few shown tokens stand before the new ones: some tokenizers write a token otherwise
        at the beginning of a text.
        """
        start = max(self._shown - 4, 0)
        before = self._decode(self._tokens[start : self._shown])
        text = self._decode(self._tokens[start:])[len(before) :]
        if text.endswith("\ufffd"):
            text = ""
        else:
            self._shown = len(self._tokens)
        self._text += text
        for stop in self.sampling.stop:
            found, mark, _ = self._text.partition(stop)
            if mark:
                self._text = found
                self._finish("stop", logprobs)
                return
        held = max((held_back(self._text, stop) for stop in self.sampling.stop), default=0)
        ready = self._text[: len(self._text) - held]
        self._text = self._text[len(ready) :]
        if ready or logprobs:
            self.emit(Piece(ready, logprobs))

    def _finish(self, reason: FinishReason, logprobs: tuple[TokenLogprob, ...] = ()) -> None:
        self.done = True
        now = time.perf_counter()
        first = self._first or now
        if reason != "cancelled" and self._text:
            self.emit(Piece(self._text, logprobs))
        self.emit(
            Piece(
                finish_reason=reason,
                usage=Usage(len(self.ids), len(self._tokens)),
                timings=Timings(prompt_s=first - self._begun, generate_s=now - first),
            )
        )


def _warpers(sampling: Sampling) -> Any:
    """The settings in the order in which transformers applies them."""
    found = LogitsProcessorList()
    if sampling.repeat_penalty not in (None, 1.0):
        found.append(RepetitionPenaltyLogitsProcessor(float(sampling.repeat_penalty or 1.0)))
    if not sampling.temperature:
        return found
    if sampling.temperature != 1:
        found.append(TemperatureLogitsWarper(float(sampling.temperature)))
    if sampling.top_k:
        found.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p is not None and sampling.top_p < 1:
        found.append(TopPLogitsWarper(sampling.top_p))
    if sampling.min_p:
        found.append(MinPLogitsWarper(sampling.min_p))
    return found


def _penalised(scores: Any, tokens: list[int], sampling: Sampling) -> Any:
    """Presence and frequency penalties as OpenAI defines them, over the answer so far."""
    presence = sampling.presence_penalty or 0.0
    frequency = sampling.frequency_penalty or 0.0
    if not tokens or not (presence or frequency):
        return scores
    ids, counts = torch.tensor(tokens, device=scores.device).unique(return_counts=True)
    scores = scores.clone()
    scores[ids] -= presence + frequency * counts
    return scores
