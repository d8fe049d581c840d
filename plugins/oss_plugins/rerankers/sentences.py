"""Looks at each hit again, a few sentences at a time.

One vector for a whole chunk is a mean of all that it says; the best window of it is nearer to a
question that one sentence answers. On the question set of ``tests/benchmarks`` the gain is small;
on others there is none.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from oss.contracts.retriever import Reranker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.contracts.retriever import Embedder, Passage

_SENTENCE_END = re.compile(r"(?<=[.!?…。])\s+|\n+")


class SentencesReranker(Reranker):
    """Half the nearness of the best window, half the rank that the search gave.

    :param window: sentences in a window; each begins one sentence after the last.
    :param top: hits that are looked at; the rest stay behind them, in their order.
    """

    name = "sentences"

    def __init__(self, *, embedder: Embedder, window: int = 3, top: int = 20) -> None:
        self._embedder = embedder
        self._window = window
        self._top = top

    async def score(self, query: str, passages: Sequence[Passage]) -> list[float]:
        """Between 0 and 1 for those looked at, below 0 for the rest."""
        looked_at = passages[: self._top]
        windows = [self._windows(passage.text) for passage in looked_at]
        question = await self._embedder.embed_query(query)
        vectors = iter(
            await self._embedder.embed_documents([text for texts in windows for text in texts])
        )
        near = [max(_cosine(question, next(vectors)) for _ in texts) for texts in windows]
        scores = [0.5 * _share(value, near) + 0.5 / (rank + 1) for rank, value in enumerate(near)]
        return [*scores, *(-float(n) for n in range(1, len(passages) - len(looked_at) + 1))]

    def _windows(self, text: str) -> list[str]:
        sentences = [part for part in _SENTENCE_END.split(text) if part.strip()] or [text]
        last = max(1, len(sentences) - self._window + 1)
        return [" ".join(sentences[at : at + self._window]) for at in range(last)]


def _share(value: float, among: Sequence[float]) -> float:
    low, high = min(among), max(among)
    return (value - low) / (high - low) if high > low else 1.0


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return product / ((math.hypot(*a) * math.hypot(*b)) or 1.0)
