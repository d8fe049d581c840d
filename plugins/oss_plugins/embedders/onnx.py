"""The default embedders: 8-bit graphs on ONNX Runtime, no torch."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, ClassVar

import msgspec

from oss.contracts.retriever import Embedder
from oss_plugins.embedders.recipes import CHARACTERS, E5_SMALL, GRAPH, MINILM, TOKENIZER
from oss_plugins.embedders.weights import Recipe, ensure, silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.contracts.model import Progress
    from oss_plugins.embedders.onnx_model import OnnxModel

_SLICE = 64
"""Texts between two chances to cancel."""


class OnnxEmbedder(Embedder):
    """all-MiniLM-L6-v2, English, 384 dimensions.

    :param threads: for documents; 0 is one for each core. A question always takes one.
    """

    name = "onnx"
    recipe: ClassVar[Recipe] = MINILM
    dimension = 384
    languages: frozenset[str] | None = frozenset({"en"})
    max_tokens = 256
    query_prefix: ClassVar[str] = ""
    document_prefix: ClassVar[str] = ""

    def __init__(self, *, threads: int = 0) -> None:
        self._threads = threads or os.cpu_count() or 1
        self._models: dict[int, OnnxModel] = {}

    @property
    def fingerprint(self) -> str:
        """The weights, how they were quantised, and where texts are cut."""
        return f"{self.recipe.name}-{self.recipe.revision}-{self.max_tokens}"

    async def prepare(self, progress: Progress) -> None:
        """Fetch the weights and make the graph, the first time."""
        await asyncio.to_thread(ensure, self.recipe, progress)

    async def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """In slices, so that stopping does not wait for all of them."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), _SLICE):
            part = [self.document_prefix + text for text in texts[start : start + _SLICE]]
            vectors += await asyncio.to_thread(self._embed, part, self._threads)
        return vectors

    async def embed_query(self, text: str) -> list[float]:
        """On one thread: for so little work the others cost more than they bring."""
        return (await asyncio.to_thread(self._embed, [self.query_prefix + text], 1))[0]

    def _embed(self, texts: list[str], threads: int) -> list[list[float]]:
        vectors: list[list[float]] = self._model(threads).embed(texts).tolist()
        return vectors

    def _model(self, threads: int) -> OnnxModel:
        if threads not in self._models:
            from oss_plugins.embedders.onnx_model import OnnxModel

            folder = ensure(self.recipe, silent)
            table = folder / CHARACTERS
            characters = None
            if table.is_file():
                read = msgspec.json.decode(table.read_bytes(), type=dict[str, str])
                characters = {ord(character): text for character, text in read.items()}
            self._models[threads] = OnnxModel(
                folder / GRAPH,
                folder / TOKENIZER,
                max_tokens=self.max_tokens,
                threads=threads,
                characters=characters,
            )
        return self._models[threads]

    async def close(self) -> None:
        """Free the memory."""
        self._models.clear()


class MultilingualEmbedder(OnnxEmbedder):
    """multilingual-e5-small, a hundred languages, 384 dimensions; two to three times slower."""

    name = "multilingual"
    recipe: ClassVar[Recipe] = E5_SMALL
    languages = None
    max_tokens = 512
    query_prefix: ClassVar[str] = "query: "
    document_prefix: ClassVar[str] = "passage: "
