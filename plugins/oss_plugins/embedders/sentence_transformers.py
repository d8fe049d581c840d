"""Any model of the library sentence-transformers, on torch."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ModelError
from oss.contracts.retriever import Embedder
from oss.retrieval.extras import needs_extra

if TYPE_CHECKING:
    from collections.abc import Sequence


class SentenceTransformersEmbedder(Embedder):
    """Loads the model at the first text; a folder, or a name on the hub.

    :param device: ``auto``, or as torch names it.
    """

    name = "sentence-transformers"
    languages: frozenset[str] | None = None

    def __init__(
        self,
        *,
        model: str = "sentence-transformers/all-MiniLM-L6-v2",
        device: str = "auto",
        dimension: int = 0,
    ) -> None:
        self.dimension = dimension
        self._name = model
        self._device = None if device == "auto" else device

    @property
    def fingerprint(self) -> str:
        """The model's name."""
        return f"sentence-transformers:{self._name}"

    @cached_property
    def _model(self) -> Any:
        with needs_extra("sentence-transformers"):
            from sentence_transformers import SentenceTransformer
        try:
            # Weights as safetensors alone: a pickle could run code.
            model = SentenceTransformer(
                self._name,
                device=self._device,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError) as error:
            raise ModelError(
                f"sentence-transformers cannot load '{self._name}': {error}",
                hint="give a folder with the model, or a name that the hub has",
            ) from error
        # Renamed in version 6; the old name warns there.
        asked = getattr(model, "get_embedding_dimension", None)
        self.dimension = (asked or model.get_sentence_embedding_dimension)() or 0
        self.max_tokens = model.max_seq_length or 0
        return model

    async def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """With the prompt that the model keeps for documents, if any."""
        return await asyncio.to_thread(self._embed, list(texts), "encode_document")

    async def embed_query(self, text: str) -> list[float]:
        """With the prompt that the model keeps for questions, if any."""
        return (await asyncio.to_thread(self._embed, [text], "encode_query"))[0]

    def _embed(self, texts: list[str], method: str) -> list[list[float]]:
        encode = getattr(self._model, method)
        vectors = encode(texts, normalize_embeddings=True, show_progress_bar=False)
        return [[float(x) for x in vector] for vector in vectors]

    async def close(self) -> None:
        """Let the model go."""
        self.__dict__.pop("_model", None)
