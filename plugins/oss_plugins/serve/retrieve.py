"""``/v1/retrieve``: the passages that a profile's documents hold for a question. Not OpenAI's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from oss.contracts.errors import UsageError
from oss_plugins.serve.errors import refused
from oss_plugins.serve.jsons import decode
from oss_plugins.serve.schemas import Body
from oss_plugins.serve.work import Whole

if TYPE_CHECKING:
    from oss.contracts.filters import Filter
    from oss.contracts.retriever import Passage
    from oss_plugins.serve.service import Service
    from oss_plugins.serve.work import Work


class RetrieveBody(Body, frozen=True, kw_only=True):
    """``POST /v1/retrieve``. ``k`` is the profile's if left out; ``where`` is a condition on the
    passages' metadata, and holds beside the profile's own.
    """

    model: str
    query: Annotated[str, Meta(min_length=1, max_length=20_000)]
    k: Annotated[int, Meta(ge=1, le=100)] | None = None
    where: Annotated[str, Meta(max_length=4_000)] | None = None


def retrieve_work(service: Service, raw: bytes) -> Work:
    """Answer ``POST /v1/retrieve``; no model is loaded, and the search waits its turn in the queue
    as any other request.
    """
    body = decode(raw, RetrieveBody)
    if not body.query.strip():
        raise refused("'query' is empty", "query")
    where = _condition(body.where) if body.where and body.where.strip() else None
    served = service.catalogue.find(body.model)
    documents = served.session.documents
    if documents is None:
        raise refused(
            f"profile '{served.name}' has no documents ([retriever] collections = [...])", "model"
        )

    async def answer() -> dict[str, Any]:
        async with service.queue.place():
            passages = await documents.find(body.query, body.k, where)
        return {
            "object": "list",
            "model": served.name,
            "data": [_entry(index, passage) for index, passage in enumerate(passages)],
        }

    return Whole(answer(), service.metrics)


def _condition(text: str) -> Filter:
    from oss.retrieval.filters import parse_filter

    try:
        return parse_filter(text)
    except UsageError as error:
        raise refused(error.message, "where") from error


def _entry(index: int, passage: Passage) -> dict[str, Any]:
    return {
        "object": "passage",
        "index": index,
        "text": passage.text,
        "source": passage.source,
        "span": list(passage.span),
        "score": passage.score,
        "metadata": dict(passage.metadata),
    }
