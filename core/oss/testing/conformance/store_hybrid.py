"""What search gives over every store, sparse vectors of its own or not. Subclass, and give a
fixture ``store``, empty and of its own, as :func:`oss.retrieval.completing.complete_store` makes it
of one that keeps no sparse vectors::

class TestMyHybrid(HybridConformance):
    @pytest.fixture
    def store(self, tmp_path):
        return complete_store(MyStore(tmp_path), tmp_path)

What is expected is worked out here, exactly, from the texts: stores that pass give the same
results in the same order.
"""

from __future__ import annotations

import dataclasses
import math
import random
from typing import TYPE_CHECKING

import pytest

from oss.contracts.retriever import Document
from oss.contracts.store import CollectionSettings, Hit, StoreFeature
from oss.retrieval.filters import holds, parse_filter
from oss.retrieval.fusion import DENSE_WEIGHT, SPARSE_WEIGHT, dbsf, rrf
from oss.retrieval.search import DIGITS, SearchOptions, StoreRetriever
from oss.retrieval.sparse import query_vector
from oss.testing.fake_retrieval import FakeEmbedder, word_vector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oss.contracts.filters import Filter
    from oss.contracts.store import Point, SparseVector, VectorStore
    from oss.retrieval.search import FusionName, Mode

DIMENSION = 64
DOCUMENTS = 120
_WORDS = (
    *("river", "stone", "bridge", "lantern", "harbour", "copper", "ticket", "winter", "garden"),
    *("engine", "letter", "mirror", "река", "камень", "мост", "фонарь", "гавань", "медь"),
    *("билет", "зима", "сад", "мотор", "письмо", "зеркало"),
)
QUESTIONS = ("lantern by the river", "зимний сад и мост", "copper engine letter", "билет winter")
_DEPTH = 50


def texts() -> dict[str, str]:
    """Texts of common and rare words in two languages, the same every time."""
    draw = random.Random(7)  # noqa: S311
    rare = [f"термин{n}" if n % 2 else f"term{n}" for n in range(DOCUMENTS)]
    found = {}
    for number in range(DOCUMENTS):
        words = draw.sample(_WORDS, draw.randint(3, 9)) + draw.sample(rare, draw.randint(2, 6))
        draw.shuffle(words)
        found[f"folder {number % 4}/{number}.txt"] = " ".join(words)
    return found


def expected(
    points: Mapping[str, Point],
    settings: CollectionSettings,
    question: str,
    options: SearchOptions,
    where: Filter | None,
) -> list[str]:
    """The ids that a search finds, best first, worked out one by one."""
    passing = [p for p in points.values() if where is None or holds(where, p.metadata)]
    vector = word_vector(question, DIMENSION)
    words = query_vector(question, settings.languages)
    near = [Hit(p.id, _cosine(vector, list(p.dense or ()))) for p in passing]
    named = [Hit(p.id, _bm25(words, p, points)) for p in passing]
    rankings = [_best(near), _best([hit for hit in named if hit.score > 0])]
    if options.mode != "hybrid":
        return [hit.id for hit in rankings[options.mode == "bm25"]]
    if options.fusion == "dbsf":
        return [name for name, _ in dbsf(rankings)]
    return [name for name, _ in rrf(rankings, [DENSE_WEIGHT, SPARSE_WEIGHT])]


def _best(hits: list[Hit]) -> list[Hit]:
    return sorted(hits, key=lambda hit: (-round(hit.score, DIGITS), hit.id))[:_DEPTH]


def _cosine(a: list[float], b: list[float]) -> float:
    lengths = math.hypot(*a) * math.hypot(*b)
    return sum(x * y for x, y in zip(a, b, strict=True)) / (lengths or 1.0)


def _weights(vector: SparseVector | None) -> dict[int, float]:
    return dict(zip(vector.indices, vector.values, strict=True)) if vector else {}


def _bm25(words: SparseVector, point: Point, points: Mapping[str, Point]) -> float:
    own, score = _weights(point.sparse), 0.0
    for place, wanted in _weights(words).items():
        if place in own:
            having = sum(place in _weights(other.sparse) for other in points.values())
            rarity = math.log((len(points) - having + 0.5) / (having + 0.5) + 1)
            score += wanted * rarity * own[place]
    return score


@pytest.mark.asyncio
class HybridConformance:
    """The suite."""

    @pytest.fixture
    def store(self) -> VectorStore:
        """The store under test."""
        raise NotImplementedError

    @pytest.fixture
    async def retriever(self, store: VectorStore) -> StoreRetriever:
        """Texts indexed as any are."""
        embedder = FakeEmbedder(DIMENSION)
        settings = CollectionSettings(
            "fake", DIMENSION, {}, embedder.fingerprint, "paragraphs-170", ("en", "ru")
        )
        store.create("texts", settings).close()
        retriever = StoreRetriever(store, ("texts",), lambda _: embedder)
        await retriever.index([Document(name, text) for name, text in texts().items()])
        return retriever

    @pytest.mark.parametrize(
        ("mode", "fusion"),
        [("dense", "rrf"), ("bm25", "rrf"), ("hybrid", "rrf"), ("hybrid", "dbsf")],
    )
    @pytest.mark.parametrize(
        "expression", [None, "source~'folder 2'", "not language=en and words>5"]
    )
    async def test_the_same_order_everywhere(
        self,
        store: VectorStore,
        retriever: StoreRetriever,
        mode: Mode,
        fusion: FusionName,
        expression: str | None,
    ) -> None:
        """As worked out from the texts, what is equally near by id."""
        where = parse_filter(expression) if expression else None
        retriever.options = SearchOptions(mode=mode, fusion=fusion, merge=False)
        with store.open("texts") as collection:
            points = {point.id: point for point in collection.scroll(vectors=True)}
            settings = collection.settings
        assert len(points) == DOCUMENTS
        assert all(point.sparse for point in points.values())
        for question in QUESTIONS:
            found = [item.point.id for item in await retriever.find(question, 10, where)]
            wanted = expected(points, settings, question, retriever.options, where)[:10]
            assert found == wanted, question

    async def test_words_follow_what_is_written(
        self, store: VectorStore, retriever: StoreRetriever
    ) -> None:
        """Added, replaced, removed, and after reopening."""
        retriever.options = SearchOptions(mode="bm25", merge=False)
        await retriever.index(
            [Document("new.txt", "an unheard platypus"), Document("old.txt", "axolotl")]
        )
        assert [f.point.text for f in await retriever.find("platypus", 5)] == [
            "an unheard platypus"
        ]
        await retriever.index([Document("new.txt", "a quokka")])
        assert await retriever.find("platypus", 5) == []
        assert [f.point.text for f in await retriever.find("quokkas", 5)] == ["a quokka"]
        with store.open("texts") as collection:
            collection.delete([p.id for p in collection.scroll(parse_filter("source=new.txt"))])
            assert collection.sparse(query_vector("quokka", ("en",)), 5) == []
            assert collection.sparse(query_vector("axolotl", ("en",)), 5)
        assert await retriever.find("quokka", 5) == []

    @pytest.mark.usefixtures("retriever")
    async def test_words_are_weighed_again(self, store: VectorStore) -> None:
        """New weights for some points, and nothing else of them."""
        with store.open("texts") as collection:
            points = list(collection.scroll(vectors=True))[:5]
            weights = {
                p.id: dataclasses.replace(
                    p.sparse, values=tuple(2 * value for value in p.sparse.values)
                )
                for p in points
                if p.sparse
            }
            collection.weigh(
                {
                    **weights,
                    "6f0d5dfc-0000-5c1b-9b6b-0a4a3c3f3d1e": points[0].sparse
                    or weights[points[0].id],
                }
            )
            assert collection.count() == DOCUMENTS
        with store.open("texts") as collection:
            for before, after in zip(
                points, collection.fetch([p.id for p in points], vectors=True), strict=True
            ):
                assert (after.text, dict(after.metadata)) == (before.text, dict(before.metadata))
                assert list(after.dense or ()) == pytest.approx(list(before.dense or ()), abs=1e-5)
                assert _weights(after.sparse) == pytest.approx(_weights(weights[before.id]))

    @pytest.mark.usefixtures("retriever")
    async def test_it_has_all_features(self, store: VectorStore) -> None:
        """So nothing is left to whoever searches."""
        assert store.features == frozenset(StoreFeature)
        with store.open("texts") as collection:
            assert collection.features == frozenset(StoreFeature)
