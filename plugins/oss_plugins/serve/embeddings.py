"""``/v1/embeddings``."""

from __future__ import annotations

import base64
import math
import struct
from typing import TYPE_CHECKING, Any

from oss.contracts.messages import Message
from oss_plugins.serve.asks import texts
from oss_plugins.serve.errors import refused
from oss_plugins.serve.jsons import decode
from oss_plugins.serve.schemas import EmbeddingBody
from oss_plugins.serve.work import Whole

if TYPE_CHECKING:
    from oss.turn.documents import Documents
    from oss_plugins.serve.catalogue import Served
    from oss_plugins.serve.service import Service
    from oss_plugins.serve.work import Work

BYTES_PER_TOKEN = 4.0
"""For an estimate: embedders do not count."""


def embedding_work(service: Service, raw: bytes) -> Work:
    """Answer ``POST /v1/embeddings``: by the profile's engine where it embeds, else by what embeds
    the profile's documents.
    """
    body = decode(raw, EmbeddingBody)
    given = texts(body.input, "input", service.settings)
    if body.dimensions is not None:
        raise refused("dimensions cannot be chosen here", "dimensions")
    served = service.catalogue.find(body.model)
    made, documents = served.session.ingredients, served.session.documents
    if documents is None:
        made.require({"embeddings": "/v1/embeddings"}, service.plugins)

    async def answer() -> dict[str, Any]:
        if "embeddings" in made.capabilities or documents is None:
            vectors, tokens = await _by_engine(service, served, given)
        else:
            vectors, tokens = await _by_embedder(service, documents, given)
        service.metrics.prompt.labels(served.name).inc(tokens)
        return {
            "object": "list",
            "model": served.name,
            "data": [
                {
                    "object": "embedding",
                    "index": index,
                    "embedding": _packed(vector) if body.encoding_format == "base64" else vector,
                }
                for index, vector in enumerate(vectors)
            ],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }

    return Whole(answer(), service.metrics)


async def _by_engine(
    service: Service, served: Served, given: list[str]
) -> tuple[list[list[float]], int]:
    async with service.engine(served) as engine:
        vectors = await engine.embed(given)
        counts = [await engine.count_tokens((Message("user", text),)) for text in given]
    return vectors, sum(counts)


async def _by_embedder(
    service: Service, documents: Documents, given: list[str]
) -> tuple[list[list[float]], int]:
    """No model is loaded; tokens are estimated."""
    async with service.queue.place():
        embedder = await documents.embedder()
        if embedder is None:
            raise refused("the profile's retriever keeps its embeddings to itself", "model")
        vectors = await embedder.embed_documents(given)
    return vectors, sum(math.ceil(len(text.encode()) / BYTES_PER_TOKEN) for text in given)


def _packed(vector: list[float]) -> str:
    """Little-endian 32-bit floats in base64, as the API's clients unpack them."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
