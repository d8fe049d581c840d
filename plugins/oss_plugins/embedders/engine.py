"""Embeddings of a backend: a server that speaks the OpenAI API, or an engine in this process."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from oss.contracts.errors import CapabilityError, ConfigError
from oss.contracts.model import LocalModel
from oss.contracts.retriever import Embedder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.contracts.backend import Engine

_BATCH = 32


class EngineEmbedder(Embedder):
    """Opens a model with a backend, at the first text.

    :param model: its name on the server, or a model of this machine.
    :param options: of the backend, as ``key=value``.
    :param query_prefix: put before questions, where the model wants it; ``document_prefix`` before
        what is searched in.
    """

    name = "backend"
    languages: frozenset[str] | None = None

    def __init__(
        self,
        *,
        model: str = "",
        backend: str = "openai",
        options: Sequence[str] = (),
        query_prefix: str = "",
        document_prefix: str = "",
        dimension: int = 0,
    ) -> None:
        if not model:
            raise ConfigError(
                "embedder 'backend' needs a model", hint="--embedder-option model=NAME"
            )
        self.dimension = dimension
        self._model = model
        self._backend = backend
        self._options = tuple(options)
        self._query_prefix = query_prefix
        self._document_prefix = document_prefix
        self._stack = AsyncExitStack()
        self._engine: Engine | None = None
        self._opening = asyncio.Lock()

    @property
    def fingerprint(self) -> str:
        """Backend, model and prefixes; the server's weights are its own affair."""
        return f"{self._backend}:{self._model}:{self._query_prefix}:{self._document_prefix}"

    async def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """In batches that a server's limits allow."""
        engine = await self._open()
        vectors: list[list[float]] = []
        for start in range(0, len(texts), _BATCH):
            part = [self._document_prefix + text for text in texts[start : start + _BATCH]]
            vectors += await engine.embed([text or " " for text in part])
        self._measure(vectors)
        return vectors

    async def embed_query(self, text: str) -> list[float]:
        """One request."""
        vectors = await (await self._open()).embed([self._query_prefix + text])
        self._measure(vectors)
        return vectors[0]

    def _measure(self, vectors: Sequence[Sequence[float]]) -> None:
        if vectors:
            self.dimension = len(vectors[0])

    async def _open(self) -> Engine:
        from oss.models import resolve_model
        from oss.plugins.manager import load_plugins
        from oss.plugins.options import parse_options, validate

        async with self._opening:
            engine = self._engine
            if engine is None:
                plugins = load_plugins()
                descriptor = plugins.find("backends", self._backend)
                if "embeddings" not in descriptor.capabilities:
                    raise CapabilityError(
                        f"backend '{self._backend}' has no embeddings",
                        hint="use the backend openai, or the embedders onnx and gguf",
                    )
                options = validate(
                    descriptor,
                    parse_options(self._options, "embedder backend"),
                    f"backend.{self._backend}",
                )
                options["context"] = 0  # as large as the model was made for
                backend = plugins.load("backends", self._backend)()
                if backend.formats == ("remote",):
                    model = LocalModel(self._model, f"remote:{self._model}", "remote")
                else:
                    model = resolve_model(self._model, plugins)
                opened: Engine = await self._stack.enter_async_context(
                    backend.open(model, (), options)
                )
                self._engine = engine = opened
            return engine

    async def close(self) -> None:
        """Close the engine."""
        await self._stack.aclose()
        self._engine = None
