"""The fakes pass the suites that real parts pass; the suites can fail."""

from __future__ import annotations

import pytest

from oss.testing.conformance.embedder import EmbedderConformance
from oss.testing.conformance.retriever import RetrieverConformance
from oss.testing.fakes import FakeEmbedder, FakeRetriever


class TestFakeRetriever(RetrieverConformance):
    @pytest.fixture
    def retriever(self) -> FakeRetriever:
        return FakeRetriever()


class TestFakeEmbedder(EmbedderConformance):
    @pytest.fixture
    def embedder(self) -> FakeEmbedder:
        return FakeEmbedder()


class ForgetsFilters(FakeRetriever):
    async def search(self, query, k=5, where=None):  # type: ignore[no-untyped-def]
        return await super().search(query, k)


class OneVector(FakeEmbedder):
    async def embed_documents(self, texts):  # type: ignore[no-untyped-def]
        return [[1.0] * self.dimension for _ in texts]


async def test_the_suites_can_fail() -> None:
    with pytest.raises(AssertionError):
        await RetrieverConformance().test_filters(ForgetsFilters())
    with pytest.raises(AssertionError):
        await EmbedderConformance().test_a_text_is_nearest_to_itself(OneVector())
