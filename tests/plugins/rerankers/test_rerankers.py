from __future__ import annotations

from typing import TYPE_CHECKING

from oss.contracts.retriever import Passage
from oss.plugins.manager import load_plugins
from oss.retrieval.opening import reranker_maker
from oss.testing.fake_retrieval import FakeEmbedder
from oss_plugins.rerankers.sentences import SentencesReranker

if TYPE_CHECKING:
    from pathlib import Path


async def test_the_sentence_that_answers_lifts_its_passage() -> None:
    noise = "Words about other things stand here. " * 8
    passages = [
        Passage("Tea is brewed from leaves of a bush. It is drunk in many lands.", "a"),
        Passage(f"{noise}The limit is ten requests. {noise}", "b"),
    ]
    reranker = SentencesReranker(embedder=FakeEmbedder(512), window=1)
    first, second = await reranker.score("What is the limit of requests?", passages)
    assert second >= first
    assert await reranker.score("limit", []) == []


async def test_those_not_looked_at_keep_their_order_behind() -> None:
    passages = [Passage(f"text {n}", str(n)) for n in range(6)]
    scores = await SentencesReranker(embedder=FakeEmbedder(), top=2).score("text 5", passages)
    assert scores[2:] == sorted(scores[2:], reverse=True)
    assert min(scores[:2]) > max(scores[2:])


async def test_it_is_found_by_name(tmp_path: Path) -> None:
    make = reranker_maker(load_plugins(), "sentences")
    assert make(FakeEmbedder()).name == "sentences"
    assert reranker_maker(load_plugins(), None) is None
