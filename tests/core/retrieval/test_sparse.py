"""BM25 as sparse vectors: stemming by language, the formula, agreement with Qdrant's own."""

from __future__ import annotations

import pytest

from oss.contracts.store import Hit
from oss.retrieval.fusion import dbsf, rrf
from oss.retrieval.sparse import K1, B, document_vector, length_of, query_vector, words

pytest.importorskip("Stemmer")


@pytest.mark.parametrize(
    ("question", "text", "language"),
    [
        ("running", "He runs every day", "en"),
        ("читать файлы", "Чтение файла читается", "ru"),
        ("Häuser", "Das Haus", "de"),
        ("открыть socket", "Открытие sockets на сервере открыли", "ru"),
    ],
)
def test_forms_of_a_word_meet(question: str, text: str, language: str) -> None:
    wanted = set(query_vector(question, (language,)).indices)
    assert wanted & set(document_vector(text, language).indices)


def test_a_question_is_stemmed_for_every_language_of_the_collection() -> None:
    german = set(document_vector("die Häuser", "de").indices)
    english = set(document_vector("the houses", "en").indices)
    asked = set(query_vector("Häuser houses", ("en", "de")).indices)
    assert asked & german
    assert asked & english


def test_names_in_code_are_found_whole_and_by_parts() -> None:
    assert list(words("os.path.join and create_field_index")) == [
        "os", "path", "join", "and", "create", "field", "index", "create_field_index",
    ]  # fmt: skip
    assert list(words("東京都に")) == ["東京", "京都", "都に"]
    assert list(words("_ __ x" + "y" * 50)) == []


def test_words_that_say_nothing_are_left_out() -> None:
    assert query_vector("How do I open the file?").indices == query_vector("open file").indices
    assert query_vector("как мне открыть файл", ("ru",)).indices == (
        query_vector("открыть файл", ("ru",)).indices
    )
    assert query_vector("was die", ("de", "en")).indices != ()  # words of German, not of English
    assert length_of("what is a file") == 1


def test_the_weights_are_those_of_the_formula() -> None:
    text = "cat cat dog"
    weights = dict(zip(*_parts(text), strict=True))
    norm = K1 * (1 - B + B * 3 / 6)
    cat, dog = (query_vector(word).indices[0] for word in ("cat", "dog"))
    assert weights[cat] == pytest.approx(2 * (K1 + 1) / (2 + norm))
    assert weights[dog] == pytest.approx(1 * (K1 + 1) / (1 + norm))
    assert length_of(text) == 3


def _parts(text: str) -> tuple[tuple[int, ...], tuple[float, ...]]:
    vector = document_vector(text, "en", 6.0)
    return vector.indices, vector.values


def test_it_is_what_qdrant_makes() -> None:
    edge = pytest.importorskip("qdrant_edge")
    text = "Opening many of the files quickly breaks servers"
    theirs = edge.Bm25(edge.Bm25Config(avg_len=6.0)).embed_document(text)
    ours = document_vector(text, "en", 6.0)
    assert dict(zip(ours.indices, ours.values, strict=True)) == pytest.approx(
        dict(zip(theirs.indices, theirs.values, strict=True)), rel=1e-5
    )


def test_fusion_is_what_qdrant_makes() -> None:
    dense = [
        Hit(i, s) for i, s in zip("15230", (0.9715, 0.8658, 0.8468, 0.7988, 0.7976), strict=True)
    ]
    sparse = [Hit(i, s) for i, s in zip("4310", (5.1481, 4.1185, 2.0592, 1.0296), strict=True)]
    # Figures of qdrant-edge 0.9 for these rankings.
    assert {i: round(s, 4) for i, s in rrf([dense, sparse], (2.0, 1.0))} == {
        "1": 0.9167, "3": 0.6667, "5": 0.5, "4": 0.5, "0": 0.4857, "2": 0.4,
    }  # fmt: skip
    assert {i: round(s, 4) for i, s in rrf([dense, sparse], (1.0, 1.0))} == {
        "1": 0.75, "3": 0.5333, "4": 0.5, "0": 0.3667, "5": 0.3333, "2": 0.25,
    }  # fmt: skip
    theirs = {"1": 1.1794, "3": 0.9569, "4": 0.6826, "0": 0.6803, "5": 0.5227, "2": 0.4782}
    assert dict(dbsf([dense, sparse])) == pytest.approx(theirs, abs=2e-3)
    assert dbsf([[Hit("a", 1.0)], []]) == [("a", 0.5)]
