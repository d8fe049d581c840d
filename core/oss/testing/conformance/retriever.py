"""What every retriever does. Subclass, and override the fixture::

class TestMine(RetrieverConformance):
    @pytest.fixture
    def retriever(self, tmp_path):
        return MyRetriever(folder=tmp_path)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oss.contracts.filters import AllOf, Compare, Not
from oss.contracts.retriever import Document

if TYPE_CHECKING:
    from oss.contracts.retriever import Retriever

BEES = Document(
    "bees.md",
    "Bees collect nectar from flowers and make honey of it.",
    {"topic": "nature", "page": 1},
)
TRAINS = Document(
    "поезда/зимой.md",
    "Поезда зимой опаздывают, потому что замерзают стрелки на путях.",
    {"topic": "railway", "page": 2},
)
BREAD = Document(
    'a "quoted" name\'s; bread.md',
    "Bread rises because yeast makes bubbles of gas in the dough.",
    {"topic": "kitchen", "page": 3},
)
ALL = (BEES, TRAINS, BREAD)
NECTAR = "bees collect nectar from flowers"


@pytest.mark.asyncio
class RetrieverConformance:
    """Subclass it; each test gets a retriever of its own, empty."""

    @pytest.fixture
    def retriever(self) -> Retriever:
        """An empty retriever."""
        raise NotImplementedError("override the fixture 'retriever'")

    async def test_is_empty_at_first(self, retriever: Retriever) -> None:
        """Nothing is in it."""
        assert await retriever.count() == 0

    async def test_finds_what_was_indexed(self, retriever: Retriever) -> None:
        """The right document comes first, whatever its language and the letters of its id."""
        report = await retriever.index(ALL)
        assert (report.added, report.unchanged) == (3, 0)
        assert await retriever.count() >= 3
        for query, document in (
            (NECTAR, BEES),
            ("поезда зимой опаздывают", TRAINS),
            ("yeast makes bubbles in the dough", BREAD),
        ):
            assert (await retriever.search(query))[0].source == document.id

    async def test_passages_say_where_they_are(self, retriever: Retriever) -> None:
        """The span cuts the passage's text out of the document; the metadata is the document's."""
        await retriever.index(ALL)
        documents = {document.id: document for document in ALL}
        for passage in await retriever.search("поезда зимой опаздывают", 3):
            document = documents[passage.source]
            assert document.text[slice(*passage.span)] == passage.text
            assert passage.metadata["topic"] == document.metadata["topic"]

    async def test_best_first_and_no_more_than_asked(self, retriever: Retriever) -> None:
        """Scores fall, and ``k`` is a limit."""
        await retriever.index(ALL)
        scores = [passage.score for passage in await retriever.search(NECTAR, 10)]
        assert scores == sorted(scores, reverse=True)
        assert len(await retriever.search(NECTAR, 1)) == 1

    async def test_unchanged_documents_cost_nothing(self, retriever: Retriever) -> None:
        """Indexing the same content again embeds nothing."""
        await retriever.index(ALL)
        count = await retriever.count()
        report = await retriever.index(ALL)
        assert (report.added, report.unchanged, report.embedded_chunks) == (0, 3, 0)
        assert await retriever.count() == count

    async def test_changed_documents_are_replaced(self, retriever: Retriever) -> None:
        """The old text is not found any more, and the others are left alone."""
        await retriever.index(ALL)
        changed = Document(BEES.id, "Wasps build nests of paper under the roof.", BEES.metadata)
        report = await retriever.index((changed, TRAINS, BREAD))
        assert report.unchanged == 2
        found = [p for p in await retriever.search(NECTAR, 10) if p.source == BEES.id]
        assert all("nectar" not in passage.text for passage in found)
        assert (await retriever.search("wasps build nests of paper"))[0].source == BEES.id

    async def test_filters(self, retriever: Retriever) -> None:
        """A passage for which the filter does not hold is not found, however near."""
        await retriever.index(ALL)
        bread = await retriever.search(NECTAR + " yeast", 10, Compare("topic", "=", "kitchen"))
        assert {passage.source for passage in bread} == {BREAD.id}
        late = await retriever.search(
            NECTAR + " yeast поезда",
            10,
            AllOf((Compare("page", ">=", 2), Not(Compare("topic", "=", "railway")))),
        )
        assert {passage.source for passage in late} <= {BREAD.id}
        assert not await retriever.search(NECTAR, 10, Compare("absent", "=", "x"))

    async def test_odd_texts(self, retriever: Retriever) -> None:
        """An empty document, and a question of signs alone, are no errors."""
        await retriever.index((Document("empty.md", ""), BEES))
        await retriever.search("?! \"'* -", 3)
        assert (await retriever.search(NECTAR))[0].source == BEES.id
