"""Rankings of several searches made one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.contracts.store import Hit

RRF_K = 2
DENSE_WEIGHT = 2.0
SPARSE_WEIGHT = 1.0


def rrf(
    rankings: Sequence[Sequence[Hit]], weights: Sequence[float], k: int = RRF_K
) -> list[tuple[str, float]]:
    """Reciprocal rank fusion: the sum over rankings of ``1 / (rank / weight + k - 1)``, ranks
    from 1, as Qdrant computes it; ids with their scores, best first.
    Source: Cormack et al., SIGIR 2009, https://doi.org/10.1145/1571941.1572114
    """
    scores: dict[str, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, hit in enumerate(ranking, 1):
            scores[hit.id] = scores.get(hit.id, 0.0) + 1 / (rank / weight + k - 1)
    return _ranked(scores)


def dbsf(rankings: Sequence[Sequence[Hit]]) -> list[tuple[str, float]]:
    """Distribution-based score fusion: in each ranking the mean less and plus three standard
    deviations becomes 0 and 1; then the scores are added.
    """
    from statistics import fmean, stdev

    scores: dict[str, float] = {}
    for ranking in rankings:
        values = [hit.score for hit in ranking]
        deviation = stdev(values) if len(values) > 1 else 0.0
        low = fmean(values) - 3 * deviation if values else 0.0
        for hit in ranking:
            share = (hit.score - low) / (6 * deviation) if deviation else 0.5
            scores[hit.id] = scores.get(hit.id, 0.0) + share
    return _ranked(scores)


def _ranked(scores: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
