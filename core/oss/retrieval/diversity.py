"""Maximal marginal relevance: near the question, yet unlike what was already taken."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def mmr(
    relevance: Sequence[float], vectors: Sequence[Sequence[float]], k: int, diversity: float
) -> list[int]:
    """Positions of ``k`` candidates, in the order they were taken.

    :param relevance: of each candidate, higher is better; scaled to 0..1 here.
    :param vectors: of each candidate; compared with each other by cosine.
    :param diversity: 0 keeps the ranking, 1 looks at unlikeness alone.

    Source: Carbonell and Goldstein, SIGIR 1998, https://doi.org/10.1145/290941.291025
    """
    low, high = min(relevance, default=0.0), max(relevance, default=0.0)
    scaled = [(r - low) / (high - low) if high > low else 1.0 for r in relevance]
    units = [_unit(vector) for vector in vectors]
    left = list(range(len(scaled)))
    nearest = [0.0] * len(scaled)
    taken: list[int] = []
    while left and len(taken) < k:
        best = max(left, key=lambda i: (1 - diversity) * scaled[i] - diversity * nearest[i])
        left.remove(best)
        taken.append(best)
        for i in left:
            cosine = sum(a * b for a, b in zip(units[i], units[best], strict=True))
            nearest[i] = max(nearest[i], cosine)
    return taken


def _unit(vector: Sequence[float]) -> list[float]:
    length = math.sqrt(sum(x * x for x in vector)) or 1.0
    return [x / length for x in vector]
