"""``/v1/embeddings``."""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING, Any

from oss.contracts.messages import Message
from oss_plugins.serve.asks import texts
from oss_plugins.serve.errors import refused
from oss_plugins.serve.jsons import decode
from oss_plugins.serve.schemas import EmbeddingBody
from oss_plugins.serve.work import Whole

if TYPE_CHECKING:
    from oss_plugins.serve.service import Service
    from oss_plugins.serve.work import Work


def embedding_work(service: Service, raw: bytes) -> Work:
    """Answer ``POST /v1/embeddings``, by the profile's engine where it embeds."""
    body = decode(raw, EmbeddingBody)
    given = texts(body.input, "input", service.settings)
    if body.dimensions is not None:
        raise refused("dimensions cannot be chosen here", "dimensions")
    served = service.catalogue.find(body.model)
    served.session.ingredients.require({"embeddings": "/v1/embeddings"}, service.plugins)

    async def answer() -> dict[str, Any]:
        async with service.engine(served) as engine:
            vectors = await engine.embed(given)
            tokens = sum([await engine.count_tokens((Message("user", text),)) for text in given])
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


def _packed(vector: list[float]) -> str:
    """Little-endian 32-bit floats in base64, as the API's clients unpack them."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
