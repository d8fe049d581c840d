"""The small fallback: distilled here, the first time in about a minute."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from oss.testing.conformance.embedder import EmbedderConformance, cosine

if TYPE_CHECKING:
    from oss.contracts.retriever import Embedder
    from oss.testing.program import OssCli

pytest.importorskip("onnxruntime")
pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.usefixtures("embedders_here"),
]


@pytest.fixture
def static() -> Embedder:
    from oss_plugins.embedders.static import StaticEmbedder

    return StaticEmbedder()


class TestStatic(EmbedderConformance):
    @pytest.fixture
    def embedder(self, static: Embedder) -> Embedder:
        return static


async def test_other_words_for_the_same_are_near(static: Embedder) -> None:
    asked = await static.embed_query("How fast does an automobile drive?")
    near, far = await static.embed_documents(
        ["The speed of the car is ninety.", "The cake needs three eggs and butter."]
    )
    assert cosine(asked, near) > cosine(asked, far) + 0.2


def test_a_collection_is_made_with_it(oss_cli: OssCli) -> None:
    pytest.importorskip("qdrant_edge")
    (oss_cli.home.cwd / "cars.md").write_text("The speed of the car is ninety.")
    (oss_cli.home.cwd / "cakes.md").write_text("The cake needs three eggs and butter.")
    oss_cli.run("docs", "add", ".", "--to", "work", "--embedder", "static").ok()
    found = oss_cli.run("docs", "search", "automobile", "--mode", "dense", "--json", "-k", "1")
    assert json.loads(found.ok().stdout)[0]["source"].endswith("cars.md")
