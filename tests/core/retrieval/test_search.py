"""Writing and searching, over a store that can do all and one that can do next to nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.errors import StorageError, UsageError
from oss.contracts.retriever import Document, Passage, Reranker
from oss.contracts.store import CollectionSettings
from oss.retrieval.chunking import Chunk
from oss.retrieval.filters import parse_filter
from oss.retrieval.search import SearchOptions, StoreRetriever
from oss.retrieval.writing import ChunkedDocument, CollectionWriter
from oss.testing.conformance.store import StoreConformance
from oss.testing.fake_retrieval import FakeEmbedder, word_vector
from oss.testing.fake_store import FakeStore
from oss_plugins.qdrant.store import QdrantStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from oss.contracts.store import VectorStore

pytest.importorskip("qdrant_edge")

PLANETS = """# Planets

Mercury is the smallest planet and the nearest to the Sun.

Venus is the hottest planet, under clouds of acid.

## Giants

Jupiter is the largest planet. Its red spot is a storm.

Saturn has rings of ice and rock.
"""
CATS = "Манул живёт в степях. Его шерсть густая.\n\nКошки спят днём и охотятся ночью."


def settings(embedder: FakeEmbedder) -> CollectionSettings:
    return CollectionSettings("fake", embedder.dimension, {}, embedder.fingerprint, "test")


def chunks(*texts: str) -> list[Chunk]:
    return [Chunk(text, (0, len(text))) for text in texts]


class TestFakeStore(StoreConformance):
    @pytest.fixture
    def store(self) -> VectorStore:
        return FakeStore()


@pytest.fixture(params=["fake", "qdrant"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> VectorStore:
    return FakeStore() if request.param == "fake" else QdrantStore(tmp_path)


@pytest.fixture
def embedder() -> FakeEmbedder:
    return FakeEmbedder(256)


@pytest.fixture
async def retriever(store: VectorStore, embedder: FakeEmbedder) -> StoreRetriever:
    store.create("sky", settings(embedder)).close()
    retriever = StoreRetriever(store, ("sky",), lambda made: embedder, SearchOptions(merge=False))
    await retriever.index(
        [Document("planets.md", PLANETS, {"format": "md"}), Document("кошки.txt", CATS)]
    )
    return retriever


async def test_found_with_source_span_heading_and_line(retriever: StoreRetriever) -> None:
    passage = (await retriever.search("Which planet has rings of ice?", 1))[0]
    assert passage.source == "planets.md"
    assert "Saturn has rings" in passage.text
    assert passage.metadata["heading"] == "Planets > Giants"
    start, end = passage.span
    assert PLANETS[start:end] == passage.text
    assert PLANETS.splitlines()[passage.metadata["line"] - 1].startswith("Jupiter")


async def test_russian_is_found_by_other_forms_of_its_words(retriever: StoreRetriever) -> None:
    found = await retriever.search("Где живут манулы? Какая у них шерсть?", 1)
    assert found[0].source == "кошки.txt"
    assert found[0].metadata["language"] == "ru"


async def test_filters(retriever: StoreRetriever) -> None:
    for expression, sources in {
        "source~кошки": {"кошки.txt"},
        "format=md and heading~giants": {"planets.md"},
        "source~nothing": set(),
    }.items():
        found = await retriever.search("planet", 5, parse_filter(expression))
        assert {p.source for p in found} == sources


async def test_the_same_again_embeds_nothing(
    retriever: StoreRetriever, embedder: FakeEmbedder
) -> None:
    embedder.embedded.clear()
    report = await retriever.index([Document("planets.md", PLANETS, {"format": "md"})])
    assert (report.unchanged, report.embedded_chunks, embedder.embedded) == (1, 0, [])


async def test_an_edited_paragraph_embeds_itself_alone(
    store: VectorStore, embedder: FakeEmbedder
) -> None:
    texts = [f"paragraph number {n} about topic {n * n}" for n in range(20)]
    with store.create("work", settings(embedder)) as collection:
        writer = CollectionWriter(collection, embedder)
        await writer.write([ChunkedDocument("a", chunks(*texts))])
        await writer.finish()
        embedder.embedded.clear()
        texts[7] = "something else entirely"
        texts.insert(3, "a new beginning")
        (written,) = await writer.write([ChunkedDocument("a", chunks(*texts))])
        assert sorted(embedder.embedded) == ["a new beginning", "something else entirely"]
        assert (written.embedded, written.kept, written.removed) == (2, 19, 1)
        assert {p.metadata["chunk"]: p.text for p in collection.scroll()} == dict(enumerate(texts))


async def test_the_order_of_runs_leaves_no_trace(
    store: VectorStore, embedder: FakeEmbedder
) -> None:
    documents = [
        ChunkedDocument(
            f"{n}.md", chunks(f"text {n} " + "word " * n, f"текст номер {n} и ещё слова")
        )
        for n in range(30)
    ]

    async def state(name: str, runs: list[list[ChunkedDocument]]) -> Any:
        with store.create(name, settings(embedder)) as collection:
            for run in runs:
                writer = CollectionWriter(collection, embedder)
                await writer.write(run)
                await writer.finish()
            points = {
                p.id: (p.text, dict(p.metadata), p.sparse and sorted(p.sparse.values))
                for p in collection.scroll(vectors=True)
            }
            return points, collection.settings

    whole = await state("one", [documents])
    assert await state("many", [documents[20:], documents[:5], documents[:25], documents]) == whole


async def test_texts_that_come_twice_are_two_points(
    store: VectorStore, embedder: FakeEmbedder
) -> None:
    with store.create("work", settings(embedder)) as collection:
        writer = CollectionWriter(collection, embedder)
        await writer.write([ChunkedDocument("a", chunks("same", "same")), ChunkedDocument("b", [])])
        assert collection.count() == 2
        assert embedder.embedded == ["same"]
        await writer.write([ChunkedDocument("a", chunks("same"))])
        assert collection.count() == 1
        assert await writer.remove(["a"]) == 1
        assert collection.count() == 0


async def test_neighbours_and_merging(store: VectorStore, embedder: FakeEmbedder) -> None:
    texts = ["alpha one", "beta two", "gamma three", "delta four", "omega five"]
    with store.create("work", settings(embedder)) as collection:
        writer = CollectionWriter(collection, embedder)
        await writer.write([ChunkedDocument("a", chunks(*texts))])

    async def search(query: str, k: int, **options: Any) -> list[str]:
        retriever = StoreRetriever(
            store, ("work",), lambda made: embedder, SearchOptions(mode="dense", **options)
        )
        return [p.text for p in await retriever.search(query, k)]

    assert await search("gamma three", 1) == ["gamma three"]
    assert await search("gamma three", 1, neighbours=1) == ["beta two\n\ngamma three\n\ndelta four"]
    assert await search("beta two gamma three", 2) == ["beta two\n\ngamma three"]
    assert len(await search("beta two gamma three", 2, merge=False)) == 2


async def test_diversity_passes_over_what_says_the_same(
    store: VectorStore, embedder: FakeEmbedder
) -> None:
    texts = ["red apple pie", "red apple pie", "red apple pie recipe", "red wine"]
    with store.create("work", settings(embedder)) as collection:
        writer = CollectionWriter(collection, embedder)
        await writer.write([ChunkedDocument(str(n), chunks(text)) for n, text in enumerate(texts)])
    found = {}
    for diversity in (0.0, 0.7):
        retriever = StoreRetriever(
            store,
            ("work",),
            lambda made: embedder,
            SearchOptions(mode="dense", diversity=diversity),
        )
        found[diversity] = [p.text for p in await retriever.search("red apple pie", 2)]
    assert found[0.0] == ["red apple pie", "red apple pie"]
    assert found[0.7] == ["red apple pie", "red wine"]


async def test_several_collections_at_once(store: VectorStore, embedder: FakeEmbedder) -> None:
    other = FakeEmbedder(64)
    for name, made, text in (
        ("one", embedder, "tea is brewed from leaves"),
        ("two", embedder, "coffee is brewed from beans"),
        ("three", other, "cocoa is made from beans"),
    ):
        with store.create(
            name, CollectionSettings("fake", made.dimension, {}, f"f{made.dimension}")
        ) as c:
            await CollectionWriter(c, _named(made)).write([ChunkedDocument("x", chunks(text))])

    retriever = StoreRetriever(
        store,
        ("one", "two", "three"),
        lambda made: _named(embedder if made.dimension == 256 else other),
    )
    found = await retriever.search("what is made from beans", 3)
    assert {p.metadata["collection"] for p in found} == {"one", "two", "three"}
    assert found[-1].metadata["collection"] == "one"
    assert await retriever.count() == 3


def _named(embedder: FakeEmbedder) -> FakeEmbedder:
    class Named(FakeEmbedder):
        @property
        def fingerprint(self) -> str:
            return f"f{self.dimension}"

    return Named(embedder.dimension)


async def test_a_reranker_has_the_last_word(store: VectorStore, embedder: FakeEmbedder) -> None:
    class Shortest(Reranker):
        name = "shortest"

        async def score(self, query: str, passages: Sequence[Passage]) -> list[float]:
            return [-len(passage.text) for passage in passages]

    with store.create("work", settings(embedder)) as collection:
        writer = CollectionWriter(collection, embedder)
        await writer.write(
            [ChunkedDocument(t, chunks(t)) for t in ("blue sky above", "blue", "blue whale")]
        )
    retriever = StoreRetriever(
        store, ("work",), lambda made: embedder, reranker_for=lambda made: Shortest()
    )
    assert [p.text for p in await retriever.search("blue sky above", 2)] == ["blue", "blue whale"]


async def test_another_embedder_is_refused_with_what_to_do(
    retriever: StoreRetriever, store: VectorStore
) -> None:
    class Other(FakeEmbedder):
        fingerprint = "other"

    wrong = StoreRetriever(store, ("sky",), lambda made: Other(256))
    with pytest.raises(UsageError, match="'sky' was made with embedder 'fake'") as caught:
        await wrong.search("planet")
    assert "oss docs rm sky" in (caught.value.hint or "")


async def test_nothing_to_search_in(store: VectorStore, embedder: FakeEmbedder) -> None:
    assert await StoreRetriever(store, ("x",), lambda made: embedder).search("  ") == []
    with pytest.raises(UsageError, match="no collection"):
        await StoreRetriever(store, (), lambda made: embedder).search("planet")
    with pytest.raises(UsageError, match="no collection 'skyy'"):
        await StoreRetriever(store, ("skyy",), lambda made: embedder).search("planet")


async def test_searches_at_the_same_time(retriever: StoreRetriever) -> None:
    queries = ["largest planet", "rings of ice", "манул степи", "hottest planet"] * 3
    found = await asyncio.gather(*(retriever.search(query, 1) for query in queries))
    assert [f[0].source for f in found] == [
        "planets.md",
        "planets.md",
        "кошки.txt",
        "planets.md",
    ] * 3


class Faulty(FakeEmbedder):
    """Raises or takes its time, when told."""

    fault: Exception | None = None
    wait = 0.0

    async def embed_query(self, text: str) -> list[float]:
        await asyncio.sleep(self.wait)
        if self.fault is not None:
            raise self.fault
        return await super().embed_query(text)


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> type[Faulty]:
    for name in ("fault", "wait"):
        monkeypatch.setattr(Faulty, name, getattr(Faulty, name))
    return Faulty


async def sky(store: VectorStore, embedder: FakeEmbedder) -> StoreRetriever:
    store.create("sky", settings(embedder)).close()
    retriever = StoreRetriever(store, ("sky",), lambda made: embedder, SearchOptions(merge=False))
    await retriever.index([Document("planets.md", PLANETS)])
    return retriever


async def test_closed_while_the_question_is_embedded(
    store: VectorStore, faulty: type[Faulty]
) -> None:
    retriever = await sky(store, faulty(256))
    faulty.wait = 0.5
    searching = asyncio.create_task(retriever.search("the red spot of Jupiter", 1))
    await asyncio.sleep(0.1)
    store.open("sky").close()  # an embedder's server may take long: others are not kept out
    assert "storm" in (await searching)[0].text


async def test_a_question_that_cannot_be_embedded_leaves_the_collection_closed(
    store: VectorStore, faulty: type[Faulty]
) -> None:
    retriever = await sky(store, faulty(256))
    faulty.fault = UsageError("no weights")
    with pytest.raises(UsageError, match="no weights"):
        await retriever.search("Jupiter", 1)
    store.open("sky").close()  # nobody holds it
    faulty.fault = None
    assert await retriever.search("Jupiter", 1)


async def test_a_search_that_is_cancelled_leaves_the_collection_closed(
    store: VectorStore, faulty: type[Faulty]
) -> None:
    retriever = await sky(store, faulty(256))
    faulty.wait = 60.0
    searching = asyncio.create_task(retriever.search("Jupiter", 1))
    await asyncio.sleep(0.2)
    searching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await searching
    store.open("sky").close()
    faulty.wait = 0.0
    assert await retriever.search("Jupiter", 1)


async def test_many_at_once_do_not_wait_for_each_others_threads(faulty: type[Faulty]) -> None:
    """Searches that wait for their embedders take no thread that embedders need."""
    from concurrent.futures import ThreadPoolExecutor

    class Threaded(faulty):  # type: ignore[misc, valid-type]
        async def embed_query(self, text: str) -> list[float]:
            await asyncio.sleep(0.05)
            return await asyncio.to_thread(word_vector, text, self.dimension)

    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
    many = [await sky(FakeStore(), Threaded(256)) for _ in range(6)]
    searches = asyncio.gather(*(one.search("the red spot of Jupiter", 1) for one in many))
    found = await asyncio.wait_for(searches, 30)
    assert all("storm" in passages[0].text for passages in found)


async def test_a_collection_that_is_not_there_is_said(faulty: type[Faulty], tmp_path: Path) -> None:
    store = QdrantStore(tmp_path)
    retriever = await sky(store, faulty(256))
    (tmp_path / "sky" / "shard").rename(tmp_path / "sky" / "elsewhere")
    with pytest.raises(StorageError):
        await retriever.search("Jupiter", 1)
