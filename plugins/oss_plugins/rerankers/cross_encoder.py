"""A cross-encoder reads question and passage together: the best order, and the slowest."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ModelError
from oss.contracts.retriever import Reranker
from oss.retrieval.extras import needs_extra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.contracts.retriever import Embedder, Passage


class CrossEncoderReranker(Reranker):
    """Any model that sentence-transformers opens as ``CrossEncoder``."""

    name = "cross-encoder"

    def __init__(
        self,
        *,
        embedder: Embedder,  # noqa: ARG002  every reranker is given it
        model: str = "cross-encoder/ms-marco-MiniLM-L6-v2",
        top: int = 50,
    ) -> None:
        self._name = model
        self._top = top

    @cached_property
    def _model(self) -> Any:
        with needs_extra("sentence-transformers"):
            from sentence_transformers import CrossEncoder
        try:
            return CrossEncoder(
                self._name, trust_remote_code=False, model_kwargs={"use_safetensors": True}
            )
        except (OSError, ValueError) as error:
            raise ModelError(
                f"sentence-transformers cannot load '{self._name}': {error}",
                hint="give a folder with the model, or a name that the hub has",
            ) from error

    async def score(self, query: str, passages: Sequence[Passage]) -> list[float]:
        """The model's own scores; those beyond ``top`` come after all others."""
        pairs = [(query, passage.text) for passage in passages[: self._top]]
        found = await asyncio.to_thread(lambda: self._model.predict(pairs, show_progress_bar=False))
        scores = [float(score) for score in found]
        lowest = min(scores, default=0.0)
        return [*scores, *(lowest - n for n in range(1, len(passages) - len(scores) + 1))]
