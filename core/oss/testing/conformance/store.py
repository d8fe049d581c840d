"""What every vector store does. Subclass, and give a fixture ``store``, empty and of its own::

class TestMyStore(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path):
        return MyStore(tmp_path / "collections")
"""

from __future__ import annotations

import dataclasses
import math
import random
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.errors import UsageError
from oss.contracts.store import Collection, CollectionSettings, Point, StoreFeature, VectorStore
from oss.retrieval.filters import holds, parse_filter
from oss.retrieval.sparse import document_vector, query_vector

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DIMENSION = 16
SETTINGS = CollectionSettings(
    embedder="fake",
    dimension=DIMENSION,
    embedder_options={"dimension": DIMENSION},
    fingerprint="fake-16",
    chunker="paragraphs-170",
    languages=("ru", "en"),
    average_length=6.0,
)
_TOPICS = ("reading files", "sorting lists", "чтение файлов", "сетевые адреса", "dates and times")


def unit(seed: int) -> list[float]:
    """A unit vector, the same for the same seed."""
    draw = random.Random(seed)  # noqa: S311
    vector = [draw.gauss(0, 1) for _ in range(DIMENSION)]
    length = math.sqrt(sum(x * x for x in vector))
    return [x / length for x in vector]


def make_point(
    number: int, text: str | None = None, metadata: Mapping[str, Any] | None = None
) -> Point:
    """A point whose id and vector depend on its number alone."""
    text = text or f"{_TOPICS[number % len(_TOPICS)]} part {number}"
    language = "en" if text.isascii() else "ru"
    return Point(
        str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))),
        text,
        {
            "source": f"docs/Раздел {number % 3}.md",
            "chunk": number,
            "sha256": f"{number:064x}",
            "page": number // 4 + 1,
            "words": len(text.split()),
            "language": language,
            "weight": number / 2,
            "draft": number % 2 == 0,
            "tags": ["all", f"tag{number % 2}"],
            **(metadata or {}),
        },
        unit(number),
        document_vector(text, language, 6.0),
    )


def cosine(a: list[float], b: list[float]) -> float:
    """Of two unit vectors."""
    return sum(x * y for x, y in zip(a, b, strict=True))


class StoreConformance:
    """The suite."""

    @pytest.fixture
    def store(self) -> VectorStore:
        """The store under test."""
        raise NotImplementedError

    @pytest.fixture
    def collection(self, store: VectorStore) -> Iterator[Collection]:
        """Thirty points, flushed."""
        with store.create("test", SETTINGS) as collection:
            collection.upsert([make_point(number) for number in range(30)])
            collection.flush()
            yield collection

    def test_collections_are_listed_and_dropped(self, store: VectorStore) -> None:
        """By name, sorted; a Cyrillic name is a name."""
        assert list(store.list()) == []
        for name in ("work", "документы", "a-b_c.d"):
            store.create(name, SETTINGS).close()
        assert list(store.list()) == sorted(["work", "документы", "a-b_c.d"])
        assert store.exists("work")
        store.drop("work")
        assert not store.exists("work")
        assert "work" not in list(store.list())

    def test_unknown_known_and_bad_names(self, store: VectorStore) -> None:
        """Each has its own error, with what to do."""
        store.create("manuals", SETTINGS).close()
        with pytest.raises(UsageError) as caught:
            store.open("manual")
        assert "manuals" in (caught.value.hint or "")
        with pytest.raises(UsageError):
            store.drop("manual")
        with pytest.raises(UsageError):
            store.create("manuals", SETTINGS)
        for name in ("", "../x", "a/b", ".hidden", "x" * 101):
            with pytest.raises(UsageError):
                store.create(name, SETTINGS)

    def test_what_was_written_is_read_after_reopening(self, store: VectorStore) -> None:
        """Text, metadata of every JSON type, vectors, settings."""
        point = make_point(1, 'Кавычки "и" \\ перевод\nстроки', {"nothing": None, "deep": {"x": 1}})
        with store.create("test", SETTINGS) as collection:
            collection.upsert([point])
        with store.open("test") as collection:
            (found,) = collection.fetch([point.id], vectors=True)
            assert (found.id, found.text) == (point.id, point.text)
            assert dict(found.metadata) == dict(point.metadata)
            assert found.dense is not None
            assert list(found.dense) == pytest.approx(list(point.dense or ()), abs=1e-5)
            if StoreFeature.SPARSE in collection.features:
                assert found.sparse is not None
                assert point.sparse is not None
                assert dict(zip(found.sparse.indices, found.sparse.values, strict=True)) == (
                    pytest.approx(
                        dict(zip(point.sparse.indices, point.sparse.values, strict=True)), abs=1e-5
                    )
                )
            assert collection.settings == SETTINGS

    def test_settings_are_replaced(self, store: VectorStore) -> None:
        """And stay after closing."""
        changed = dataclasses.replace(SETTINGS, languages=("de",), average_length=9.5)
        with store.create("test", SETTINGS) as collection:
            collection.save_settings(changed)
            assert collection.settings == changed
            assert store.settings("test") == changed
        with store.open("test") as collection:
            assert collection.settings == changed
        with pytest.raises(UsageError):
            store.settings("missing")

    def test_the_nearest_come_first(self, collection: Collection) -> None:
        """By cosine, all of them right in so small a collection."""
        query = unit(1000)
        hits = collection.dense(query, 10)
        ranked = sorted(range(30), key=lambda n: -cosine(unit(n), query))[:10]
        assert [hit.id for hit in hits] == [make_point(n).id for n in ranked]
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)

    def test_words_find_their_chunks(self, collection: Collection) -> None:
        """BM25: rare words count more, in Russian as in English."""
        if StoreFeature.SPARSE not in collection.features:
            pytest.skip("keeps no sparse vectors")
        for question, topic in (("read a file", 0), ("читать файл", 2), ("сетевой адрес", 3)):
            hits = collection.sparse(query_vector(question, SETTINGS.languages), 4)
            assert hits
            texts = [point.text for point in collection.fetch([hit.id for hit in hits])]
            assert all(text.startswith(_TOPICS[topic]) for text in texts), (question, texts)
        assert collection.sparse(query_vector("unheard", ("en",)), 4) == []
        assert collection.sparse(query_vector("?!", ("en",)), 4) == []

    @pytest.mark.parametrize(
        "expression",
        [
            "source='docs/Раздел 1.md'",
            "source~РАЗДЕЛ",
            "source~'раздел 2' and page<3",
            "source~nowhere",
            "page>=3 and page<=5",
            "page!=2",
            "page in (1, 4)",
            "source in ('docs/Раздел 0.md', 'docs/Раздел 2.md')",
            "not (page=1 or page=2)",
            "weight<3.5",
            "weight=2.5",
            "draft=true",
            "draft!=true and words>3",
            "tags=tag1",
            "language=ru or (language=en and chunk>25)",
            "missing=1",
            "missing!=1",
            "not missing~x",
            "source>'docs/Раздел 0.md'",
        ],
    )
    def test_filters_mean_the_same_everywhere(
        self, collection: Collection, expression: str
    ) -> None:
        """As :func:`oss.retrieval.filters.holds` has it; in scroll, count and search."""
        where = parse_filter(expression)
        expected = {p.id for n in range(30) if holds(where, (p := make_point(n)).metadata)}
        assert {point.id for point in collection.scroll(where)} == expected
        assert collection.count(where) == len(expected)
        if StoreFeature.FILTER in collection.features:
            assert {hit.id for hit in collection.dense(unit(7), 30, where)} == expected
            if StoreFeature.SPARSE in collection.features:
                question = query_vector("part", ("en",))
                assert {hit.id for hit in collection.sparse(question, 30, where)} == expected

    def test_points_are_replaced_whole(self, collection: Collection) -> None:
        """The same id twice is one point, with the later text, metadata and vectors."""
        old = make_point(3)
        new = dataclasses.replace(
            make_point(99, "совсем другое"), id=old.id, metadata={"source": "new.md", "chunk": 0}
        )
        collection.upsert([new])
        assert collection.count() == 30
        (found,) = collection.fetch([old.id])
        assert found.text == "совсем другое"
        assert dict(found.metadata) == {"source": "new.md", "chunk": 0}
        assert collection.dense(unit(99), 1)[0].id == old.id

    def test_deleted_points_are_gone(self, collection: Collection) -> None:
        """From search, count and fetch; unknown ids are no error."""
        gone = [make_point(n).id for n in range(10)]
        collection.delete([*gone, str(uuid.uuid4())])
        collection.delete([])
        assert collection.count() == 20
        assert collection.fetch(gone) == []
        assert not {hit.id for hit in collection.dense(unit(3), 30)} & set(gone)

    def test_fetch_keeps_the_order(self, collection: Collection) -> None:
        """And leaves out what is not there."""
        ids = [make_point(n).id for n in (7, 2, 19)]
        found = collection.fetch([ids[0], str(uuid.uuid4()), *ids[1:]])
        assert [point.id for point in found] == ids
        assert collection.fetch([]) == []

    def test_scroll_gives_everything_once(self, collection: Collection) -> None:
        """In batches that no caller sees."""
        collection.upsert([make_point(number) for number in range(30, 1400)])
        found = [point.id for point in collection.scroll()]
        assert len(found) == 1400
        assert set(found) == {make_point(n).id for n in range(1400)}

    def test_values_are_counted(self, collection: Collection) -> None:
        """Of fields with and without an index."""
        assert collection.values("source") == {f"docs/Раздел {n}.md": 10 for n in range(3)}
        assert sum(collection.values("page").values()) == 30
        assert collection.values("draft") == {True: 15, False: 15}
        assert collection.values("missing") == {}

    def test_an_empty_collection_answers(self, store: VectorStore) -> None:
        """With nothing."""
        with store.create("test", SETTINGS) as collection:
            assert collection.count() == 0
            assert collection.dense(unit(1), 5) == []
            assert list(collection.scroll()) == []
            assert collection.values("source") == {}
            collection.optimize()

    def test_optimizing_changes_no_answer(self, collection: Collection) -> None:
        """Only its speed."""
        before = [hit.id for hit in collection.dense(unit(5), 10)]
        collection.optimize()
        assert [hit.id for hit in collection.dense(unit(5), 10)] == before
