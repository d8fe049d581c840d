"""Static embeddings: one vector per token, averaged. Fifty times faster, and worse than BM25.

Distilled here from the default embedder as model2vec does it: every token of the vocabulary is
embedded alone, the vectors are reduced by principal components, and frequent tokens weigh less.
Source: https://minish.ai/packages/model2vec/introduction
"""

from __future__ import annotations

import asyncio
import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from oss.contracts.retriever import Embedder
from oss.files import storage_errors
from oss.models.transfer import publish, pull_lock
from oss.retrieval.extras import needs_extra
from oss_plugins.embedders.recipes import GRAPH, MINILM, TOKENIZER
from oss_plugins.embedders.weights import ensure, silent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from oss.contracts.model import Progress

DIMENSION = 256
_FILE = "static-1.npy"
_SPECIAL = 1000  # the first ids of BERT's vocabulary are unused places and marks


class StaticEmbedder(Embedder):
    """The small fallback: for machines where the default is too slow."""

    name = "static"
    dimension = DIMENSION
    languages: frozenset[str] | None = frozenset({"en"})

    @property
    def fingerprint(self) -> str:
        """Of what it was distilled from, and how."""
        return f"static-{MINILM.name}-{MINILM.revision}-{DIMENSION}"

    async def prepare(self, progress: Progress) -> None:
        """Distil, the first time: about a minute."""
        await asyncio.to_thread(_table, progress)

    async def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """The mean of the tokens' vectors."""
        return await asyncio.to_thread(self._embed, list(texts))

    async def embed_query(self, text: str) -> list[float]:
        """As for documents."""
        return (await asyncio.to_thread(self._embed, [text]))[0]

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        with needs_extra("retrieval"):
            import numpy as np
            from tokenizers import Tokenizer
        file = _table(silent)
        tokenizer = Tokenizer.from_file(str(file.parent / TOKENIZER))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer, np.load(file, allow_pickle=False)

    def _embed(self, texts: list[str]) -> list[list[float]]:
        import numpy as np

        tokenizer, table = self._loaded
        vectors: list[list[float]] = []
        for item in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
            mean = table[item.ids].mean(axis=0) if item.ids else np.ones(DIMENSION)
            length = float(np.linalg.norm(mean)) or 1.0
            vectors.append((mean / length).tolist())
        return vectors


def _table(progress: Progress) -> Path:
    """The file of token vectors, made at the first call."""
    folder = ensure(MINILM, progress)
    file = folder / _FILE
    if file.is_file():
        return file
    import numpy as np

    from oss_plugins.embedders.onnx_model import OnnxModel

    with pull_lock("embedder-static", "embedder 'static'"), storage_errors(folder):
        if file.is_file():
            return file
        model = OnnxModel(
            folder / GRAPH, folder / TOKENIZER, max_tokens=8, threads=os.cpu_count() or 1
        )
        tokens = model.vocabulary()
        vectors = []
        for start in range(0, len(tokens), 1024):
            progress(start, len(tokens), "distilling token vectors")
            vectors.append(model.embed(tokens[start : start + 1024]))
        whole = np.concatenate(vectors)
        centred = whole - whole[_SPECIAL:].mean(axis=0)
        _values, axes = np.linalg.eigh(centred[_SPECIAL:].T @ centred[_SPECIAL:])
        reduced = centred @ axes[:, ::-1][:, :DIMENSION]
        # Ids go by frequency, which by Zipf's law falls with the rank; weights as in SIF.
        share = 1 / (np.arange(len(tokens)) + 2) / np.log(len(tokens))
        weighed = (reduced * (1e-3 / (1e-3 + share))[:, None]).astype(np.float32)
        temporary = folder / f"{_FILE}.new"
        with temporary.open("wb") as stream:
            np.save(stream, weighed, allow_pickle=False)
        publish(temporary, file)
    return file
