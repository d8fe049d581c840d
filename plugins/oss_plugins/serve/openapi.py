"""The OpenAPI document, made from the shapes that requests are checked by."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from oss import __version__
from oss_plugins.serve.retrieve import RetrieveBody
from oss_plugins.serve.schemas import ChatBody, CompletionBody, EmbeddingBody, ResponseBody

_BODIES: dict[str, tuple[type, str]] = {
    "/v1/chat/completions": (ChatBody, "Answer a conversation."),
    "/v1/completions": (CompletionBody, "Answer a prompt."),
    "/v1/embeddings": (EmbeddingBody, "Vectors of texts."),
    "/v1/responses": (ResponseBody, "Answer, in the shape of the Responses API."),
    "/v1/retrieve": (RetrieveBody, "Passages of a profile's documents."),
}
_ERRORS = {
    "400": "The request is wrong, or asks for what the model cannot do.",
    "401": "The key is absent or wrong.",
    "403": "The Host or Origin header is refused.",
    "404": "No such model.",
    "405": "Another method.",
    "413": "Too large.",
    "429": "The queue is full; Retry-After says when to come again.",
    "502": "The engine failed.",
    "503": "The model cannot be opened now.",
}


@cache
def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    bodies = [body for body, _ in _BODIES.values()]
    _, components = msgspec.json.schema_components(
        bodies, ref_template="#/components/schemas/{name}"
    )
    error = {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "param", "code"],
                "properties": {
                    "message": {"type": "string"},
                    "type": {"type": "string"},
                    "param": {"type": ["string", "null"]},
                    "code": {"type": ["string", "null"]},
                },
            }
        },
    }
    paths: dict[str, Any] = {}
    for path, (body, summary) in _BODIES.items():
        content: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}
        if path not in ("/v1/embeddings", "/v1/retrieve"):
            content["text/event-stream"] = {"schema": {"type": "string"}}
        paths[path] = {
            "post": {
                "summary": summary,
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {"$ref": f"#/components/schemas/{body.__name__}"}
                        }
                    },
                },
                "responses": _responses(content),
            }
        }
    json_object = {"application/json": {"schema": {"type": "object"}}}
    paths["/v1/models"] = {"get": {"summary": "Models.", "responses": _responses(json_object)}}
    paths["/v1/models/{name}"] = {
        "get": {
            "summary": "One model.",
            "parameters": [
                {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
            ],
            "responses": _responses(json_object),
        }
    }
    paths["/health"] = {
        "get": {"summary": "Is it alive?", "security": [], "responses": _responses(json_object)}
    }
    paths["/metrics"] = {
        "get": {
            "summary": "For Prometheus.",
            "responses": _responses({"text/plain": {"schema": {"type": "string"}}}),
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "oss serve", "version": __version__},
        "security": [{"key": []}, {}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": error},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _responses(content: dict[str, Any]) -> dict[str, Any]:
    failure = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "200": {"description": "As asked.", "content": content},
        **{code: {"description": text, "content": failure} for code, text in _ERRORS.items()},
    }
