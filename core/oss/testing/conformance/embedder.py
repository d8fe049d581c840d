"""What every embedder does. Subclass, and override the fixture::

class TestMine(EmbedderConformance):
    @pytest.fixture
    def embedder(self):
        return MyEmbedder()
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.contracts.retriever import Embedder

TEXTS = (
    "Bees collect nectar from flowers.",
    "Поезда зимой опаздывают из-за замёрзших стрелок.",
    "The stock market fell on Tuesday.",
)


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """The cosine of the angle between two vectors; 1 is the same direction."""
    lengths = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths


@pytest.mark.asyncio
class EmbedderConformance:
    """Subclass it; each test gets an embedder."""

    @pytest.fixture
    def embedder(self) -> Embedder:
        """The embedder to test."""
        raise NotImplementedError("override the fixture 'embedder'")

    async def test_one_vector_per_text(self, embedder: Embedder) -> None:
        """In number, and all of the length that it says."""
        vectors = await embedder.embed_documents(TEXTS)
        assert len(vectors) == len(TEXTS)
        assert {len(vector) for vector in vectors} == {embedder.dimension}
        assert all(math.isfinite(x) for vector in vectors for x in vector)
        assert len(await embedder.embed_query(TEXTS[0])) == embedder.dimension
        assert await embedder.embed_documents([]) == []

    async def test_a_text_is_nearest_to_itself(self, embedder: Embedder) -> None:
        """A question in the words of a text is nearer to it than to the others."""
        vectors = await embedder.embed_documents(TEXTS)
        for number, text in enumerate(TEXTS):
            asked = await embedder.embed_query(text)
            scores = [cosine(asked, vector) for vector in vectors]
            assert scores.index(max(scores)) == number

    async def test_neighbours_change_nothing(self, embedder: Embedder) -> None:
        """A text has the same vector alone, again, and among others of any length."""
        (alone,) = await embedder.embed_documents(TEXTS[:1])
        (again,) = await embedder.embed_documents(TEXTS[:1])
        among = (await embedder.embed_documents([TEXTS[1] * 20, "x", TEXTS[0]]))[2]
        assert alone == again
        assert cosine(alone, among) > 0.999

    async def test_any_number_and_length(self, embedder: Embedder) -> None:
        """It batches by itself; empty and very long texts have vectors too."""
        texts = [f"Text number {number}." for number in range(100)]
        vectors = await embedder.embed_documents([*texts, "", " \n", "слово " * 5000])
        assert len(vectors) == 103
        assert all(len(vector) == embedder.dimension for vector in vectors)

    async def test_says_what_makes_its_vectors(self, embedder: Embedder) -> None:
        """Name and fingerprint are texts."""
        assert embedder.name
        assert embedder.fingerprint

    async def test_can_be_used_after_closing(self, embedder: Embedder) -> None:
        """Closing frees, and breaks nothing."""
        before = await embedder.embed_query(TEXTS[0])
        await embedder.close()
        await embedder.close()
        assert cosine(await embedder.embed_query(TEXTS[0]), before) > 0.999
