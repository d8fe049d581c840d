"""The server's endpoints."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from oss.contracts.errors import OssError
from oss_plugins.serve.chat import chat_work, completion_work
from oss_plugins.serve.embeddings import embedding_work
from oss_plugins.serve.errors import ApiError, api_error
from oss_plugins.serve.guard import Guard
from oss_plugins.serve.jsons import encode
from oss_plugins.serve.metrics import CONTENT_TYPE
from oss_plugins.serve.openapi import document
from oss_plugins.serve.responses import response_work
from oss_plugins.serve.retrieve import retrieve_work

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import ASGIApp

    from oss_plugins.serve.service import Service
    from oss_plugins.serve.work import Work

POSTS: dict[str, Callable[[Service, bytes], Work]] = {
    "/v1/chat/completions": chat_work,
    "/v1/completions": completion_work,
    "/v1/embeddings": embedding_work,
    "/v1/responses": response_work,
    "/v1/retrieve": retrieve_work,
}


def build_app(service: Service) -> ASGIApp:
    """The ASGI application; leaving its lifespan frees every engine."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001
        try:
            yield
        finally:
            await service.pool.close()

    routes = [
        *(Route(path, _post(service, work), methods=["POST"]) for path, work in POSTS.items()),
        Route("/v1/models", _models(service), methods=["GET"]),
        Route("/v1/models/{name:path}", _model(service), methods=["GET"]),
        Route("/health", _health, methods=["GET"]),
        Route("/metrics", _metrics(service), methods=["GET"]),
        Route("/openapi.json", _openapi, methods=["GET"]),
    ]
    paths = frozenset(route.path for route in routes)
    middleware = [
        Middleware(Guard, settings=service.settings, metrics=service.metrics, paths=paths)
    ]
    if service.settings.origins:
        cors = Middleware(
            CORSMiddleware,
            allow_origins=list(service.settings.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],  # programs in pages send names and versions of their own
        )
        middleware.insert(0, cors)
    return Starlette(
        routes=routes,
        middleware=middleware,
        lifespan=lifespan,
        exception_handlers={
            ApiError: _api_failure,
            OssError: _failure,
            HTTPException: _http_failure,
        },
    )


def _post(service: Service, work: Callable[[Service, bytes], Work]) -> Any:
    async def endpoint(request: Request) -> Any:
        try:
            return work(service, await request.body())
        except ClientDisconnect:
            return Response(status_code=400)

    return endpoint


def _models(service: Service) -> Any:
    async def endpoint(request: Request) -> Response:  # noqa: ARG001
        names = service.catalogue.names()
        return _json({"object": "list", "data": [_entry(service, *pair) for pair in names.items()]})

    return endpoint


def _model(service: Service) -> Any:
    async def endpoint(request: Request) -> Response:
        name = request.path_params["name"]
        served = service.catalogue.find(name)
        parent = name.partition(":")[0] if ":" in served.name else None
        return _json(_entry(service, served.name, parent))

    return endpoint


def _entry(service: Service, name: str, parent: str | None) -> dict[str, Any]:
    served = service.catalogue.find(parent or name)
    made = served.session.ingredients
    model = Path(made.choice.model.name)
    found: dict[str, Any] = {
        "id": name,
        "object": "model",
        "created": served.created,
        "owned_by": "oss",
        "description": made.profile.description,
        # Where a file lies is no one else's business.
        "base_model": model.name if model.is_absolute() else made.choice.model.name,
    }
    if parent is not None:
        found["parent"] = parent
    for loaded in service.pool.loaded:
        if loaded.serves(served.spec) and loaded.engine is not None:
            found["context_length"] = loaded.engine.info.context
    return found


async def _health(request: Request) -> Response:  # noqa: ARG001
    return _json({"status": "ok"})


def _metrics(service: Service) -> Any:
    async def endpoint(request: Request) -> Response:  # noqa: ARG001
        service.metrics.engines.set(len(service.pool.loaded))
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)

    return endpoint


async def _openapi(request: Request) -> Response:  # noqa: ARG001
    return _json(document())


async def _api_failure(request: Request, error: Exception) -> Response:  # noqa: ARG001
    assert isinstance(error, ApiError)  # noqa: S101
    return error.response()


async def _failure(request: Request, error: Exception) -> Response:  # noqa: ARG001
    assert isinstance(error, OssError)  # noqa: S101
    return api_error(error).response()


async def _http_failure(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    said = {404: f"there is no {request.url.path}", 405: f"{request.method} is not for this path"}
    message = said.get(error.status_code, str(error.detail))
    headers = dict(error.headers or {})
    return ApiError(error.status_code, message, headers=headers).response()


def _json(value: Any) -> Response:
    return Response(encode(value), media_type="application/json")
