"""How well a collection is found in: questions with their right sources, asked in every way."""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oss.contracts.errors import UsageError
from oss.retrieval.search import SearchOptions, StoreRetriever

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from oss.contracts.retriever import Embedder, Reranker
    from oss.contracts.store import Collection, CollectionSettings, VectorStore

DEPTH = 10

METHODS: dict[str, SearchOptions] = {
    "dense": SearchOptions(mode="dense", merge=False),
    "bm25": SearchOptions(mode="bm25", merge=False),
    "hybrid rrf": SearchOptions(merge=False),
    "hybrid dbsf": SearchOptions(fusion="dbsf", merge=False),
}
"""What is compared, by name; the third is the default."""


@dataclass(frozen=True)
class Question:
    """A question, and the sources that answer it; a chunk's id may stand for a source."""

    text: str
    sources: frozenset[str]


@dataclass(frozen=True)
class Score:
    """How one method did. Recall is the share of questions with a right source among the first
    1, 5 or 10; ``mrr`` the mean of 1 / rank of the first right one, 0 beyond the tenth;
    ``p50_ms`` the median time of a search with everything loaded, the question's embedding
    included.
    """

    questions: int
    recall_1: float
    recall_5: float
    recall_10: float
    mrr: float
    p50_ms: float


async def evaluate(
    store: VectorStore,
    collection: str,
    embedder_for: Callable[[CollectionSettings], Embedder],
    questions: Sequence[Question],
    methods: Mapping[str, SearchOptions] | None = None,
    reranker_for: Callable[[Embedder], Reranker] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Score]:
    """Ask every question in every way.

    :raises UsageError: there are no questions.
    """
    if not questions:
        raise UsageError(
            "there are no questions to evaluate with",
            hint="give your own with --questions; texts of one sentence make none",
        )
    scores = {}
    for name, options in (methods or METHODS).items():
        retriever = StoreRetriever(
            store,
            (collection,),
            embedder_for,
            options,
            reranker_for=reranker_for,
            keep_open=True,
        )
        ranks: list[int | None] = []
        times = []
        try:
            await retriever.find(questions[0].text, DEPTH)  # loads and opens
            for number, question in enumerate(questions):
                started = time.perf_counter()
                found = await retriever.find(question.text, DEPTH)
                times.append(time.perf_counter() - started)
                right = (
                    rank
                    for rank, item in enumerate(found, 1)
                    if {item.point.id, item.point.metadata.get("source")} & question.sources
                )
                ranks.append(next(right, None))
                if progress is not None:
                    progress(number + 1, len(questions), name)
        finally:
            await retriever.close()
        scores[name] = _score(ranks, times)
    return scores


def _score(ranks: Sequence[int | None], times: Sequence[float]) -> Score:
    total = len(ranks)

    def recall(depth: int) -> float:
        return sum(rank is not None and rank <= depth for rank in ranks) / total

    reciprocal = sum(1 / rank for rank in ranks if rank is not None) / total
    median = sorted(times)[total // 2] * 1000
    return Score(total, recall(1), recall(5), recall(10), reciprocal, median)


def report_rows(scores: Mapping[str, Score]) -> list[tuple[str, ...]]:
    """A heading and one row per method, for people."""
    rows: list[tuple[str, ...]] = [
        ("method", "recall@1", "recall@5", "recall@10", "MRR@10", "p50 ms")
    ]
    for name, score in scores.items():
        numbers = (score.recall_1, score.recall_5, score.recall_10, score.mrr)
        rows.append((name, *(f"{number:.3f}" for number in numbers), f"{score.p50_ms:.1f}"))
    return rows


def known_items(collection: Collection, count: int, seed: int = 1) -> list[Question]:
    """Questions made from the collection itself: one sentence of a chunk finds that chunk.

    Easier than real questions, for the words are the chunk's own; good to compare methods, and to
    see that a collection is not broken. The sentence is a middling one, never the whole text.
    """
    draw = random.Random(seed)  # noqa: S311  a sample, no secret
    points = sorted(collection.scroll(), key=lambda point: point.id)
    draw.shuffle(points)
    questions = []
    for point in points:
        sentences = [
            sentence
            for sentence in re.split(r"(?<=[.!?])\s+|\n+", point.text)
            if 5 <= len(sentence.split()) <= 30 and len(sentence) < len(point.text) * 0.6
        ]
        if sentences:
            questions.append(Question(draw.choice(sentences), frozenset({point.id})))
        if len(questions) == count:
            break
    return questions


def read_questions(text: str, name: str) -> list[Question]:
    """From JSON lines, ``{"question": "...", "source": "..."}``; ``source`` may be a list.

    :raises UsageError: a line is not of that form; names file and line.
    """
    import json

    questions = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            sources = row["source"]
            listed = [sources] if isinstance(sources, str) else list(sources)
            questions.append(Question(str(row["question"]), frozenset(map(str, listed))))
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{name}:{number}: not a question: {error}",
                hint='each line is like {"question": "How ...?", "source": "guide.md"}',
            ) from error
    return questions
