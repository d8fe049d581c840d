"""The embedder ``gguf``: embedding models as GGUF files, opened by xllamacpp in this process."""

from __future__ import annotations

import asyncio
import os
import threading
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import BackendError, CapabilityError, ConfigError, ModelError
from oss.contracts.retriever import Embedder
from oss_plugins.llamacpp.settings import available_threads
from oss_plugins.llamacpp.signals import keep_signal_handlers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.contracts.model import LocalModel

LONGEST = 1024
"""Tokens of a text that are seen, where the model was trained for more: each takes memory."""
_BATCH = 32
_EMPTY = "-"
"""Stands for a text without words, which llama.cpp refuses."""


class GgufEmbedder(Embedder):
    """Opens the file at the first text.

    :param model: a model of this machine: a name, a path, ``scheme:rest``.
    :param pooling: how a text's vector is made of its tokens'; ``auto`` is as the file says.
    :param query_prefix: put before questions, where the model wants it; ``document_prefix`` before
        what is searched in.
    """

    name = "gguf"
    languages: frozenset[str] | None = None

    def __init__(
        self,
        *,
        model: str = "",
        pooling: str = "auto",
        query_prefix: str = "",
        document_prefix: str = "",
        threads: int = 0,
        gpu_layers: int = -1,
        dimension: int = 0,
    ) -> None:
        if not model:
            raise ConfigError("embedder 'gguf' needs a model", hint="--embedder-option model=NAME")
        self.dimension = dimension
        self._name = model
        self._pooling = pooling
        self._query_prefix = query_prefix
        self._document_prefix = document_prefix
        self._threads = threads or available_threads()
        self._gpu_layers = gpu_layers
        self._key = os.urandom(32).hex()
        self._server: Any = None
        self._lock = threading.Lock()

    @cached_property
    def _model(self) -> LocalModel:
        from oss.models import resolve_model
        from oss.plugins.manager import load_plugins

        return resolve_model(self._name, load_plugins())

    @cached_property
    def _path(self) -> str:
        path = self._model.form("gguf")
        if path is None:
            raise ModelError(
                f"model '{self._name}' has no GGUF file",
                hint="embedder 'sentence-transformers' opens folders of Hugging Face models",
            )
        return str(path)

    @cached_property
    def max_tokens(self) -> int:  # type: ignore[override]  # known when it is asked for
        """As many as the model was trained for, at most :data:`LONGEST`."""
        from pathlib import Path

        from oss.models import inspect_model

        return min(inspect_model(Path(self._path)).context_length or 512, LONGEST)

    @property
    def fingerprint(self) -> str:
        """The file by its name and size, and what is done to texts and vectors."""
        size = os.stat(self._path).st_size  # noqa: PTH116
        file = os.path.basename(self._path)  # noqa: PTH119
        return f"gguf:{file}:{size}:{self._pooling}:{self._query_prefix}:{self._document_prefix}"

    async def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """One after the other, so that a vector does not depend on its neighbours."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), _BATCH):
            part = [self._document_prefix + text for text in texts[start : start + _BATCH]]
            vectors += await self._vectors(part)
        return vectors

    async def embed_query(self, text: str) -> list[float]:
        """As for documents, behind its own prefix."""
        return (await self._vectors([self._query_prefix + text]))[0]

    async def close(self) -> None:
        """Free the model."""
        self._server = None  # xllamacpp stops its threads when the last reference goes

    async def _vectors(self, texts: list[str]) -> list[list[float]]:
        server = await asyncio.to_thread(self._opened)
        given = [await self._fitted(server, text if text.strip() else _EMPTY) for text in texts]
        answer = await asyncio.to_thread(server.handle_embeddings, {"input": given})
        if "error" in answer:
            message = str(answer["error"].get("message", answer["error"]))
            if "pooling" in message.lower():
                raise ConfigError(
                    f"'{self._name}' does not say how its tokens make one vector",
                    hint="--embedder-option pooling=mean (or cls, last)",
                )
            raise BackendError(f"llama.cpp: {message}")
        rows = sorted(answer["data"], key=lambda row: row["index"])
        vectors: list[list[float]] = [row["embedding"] for row in rows]
        self.dimension = len(vectors[0])
        return vectors

    async def _fitted(self, server: Any, text: str) -> str | list[int]:
        """A text, or its first tokens where it has more than are seen, with the mark that the
        model puts behind every text, if it does.
        """
        if len(text.encode()) < self.max_tokens - 2:  # a token has a byte at least
            return text
        from oss.engines.loopback import LoopbackClient

        client = LoopbackClient(server.listening_address, self._key)
        try:
            tokens, marks = [
                (await client.post("/tokenize", {"content": part, "add_special": True}))["tokens"]
                for part in (text[: 16 * self.max_tokens], "")
            ]
        finally:
            await client.close()
        most = self.max_tokens
        if len(tokens) <= most:
            return text
        return [*tokens[: most - 1], tokens[-1] if tokens[-1:] == marks[-1:] else tokens[most - 1]]

    def _opened(self) -> Any:
        if not find_spec("xllamacpp"):
            raise CapabilityError(
                "embedder 'gguf' needs xllamacpp", hint="pip install 'oss-workbench[starter]'"
            )
        import xllamacpp

        with self._lock:
            if self._server is None:
                with keep_signal_handlers():
                    try:
                        self._server = xllamacpp.Server(self._params(xllamacpp))
                    except RuntimeError as error:
                        raise ModelError(
                            f"llama.cpp cannot load '{self._path}'", hint=str(error)
                        ) from error
            return self._server

    def _params(self, xllamacpp: Any) -> Any:
        params = xllamacpp.CommonParams()
        params.model.path = self._path
        params.verbosity = 0
        params.embedding = True
        if self._pooling != "auto":
            params.pooling_type = getattr(
                xllamacpp.llama_pooling_type, f"LLAMA_POOLING_TYPE_{self._pooling.upper()}"
            )
        params.n_parallel = 1
        params.n_ctx = params.n_batch = params.n_ubatch = self.max_tokens
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self._threads
        params.n_gpu_layers = self._gpu_layers
        params.warmup = False
        params.api_keys = [self._key]
        params.hostnames = ["127.0.0.1"]
        params.n_threads_http = 2
        params.ui = False
        params.endpoint_slots = False
        return params
