"""Runs an encoder's graph: texts in, vectors out."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ModelError
from oss.retrieval.extras import needs_extra


@contextmanager
def _one_thread_for_numpy() -> Iterator[None]:
    """numpy's linear algebra begins a thread for each core as it is imported. They wait for work
    at full speed, and none comes: the graph does the arithmetic.
    """
    name = "OPENBLAS_NUM_THREADS"
    unset = name not in os.environ
    os.environ.setdefault(name, "1")
    try:
        yield
    finally:
        if unset:
            del os.environ[name]


with needs_extra("retrieval"), _one_thread_for_numpy():
    import numpy as np
    import onnxruntime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


class OnnxModel:
    """A graph and its tokenizer, loaded; blocking calls, safe from several threads.

    :param max_tokens: longer texts are cut.
    :param threads: texts that are embedded at the same time.
    :param characters: what is replaced before the text is cut into pieces.
    """

    def __init__(
        self,
        graph: Path,
        tokenizer: Path,
        *,
        max_tokens: int,
        threads: int,
        characters: Mapping[int, str] | None = None,
    ) -> None:
        # Loading a session leaves the interpreter to others, loading a tokenizer does not: the
        # import between them is where the session's thread gets its turn to begin.
        with ThreadPoolExecutor(1) as beside:
            loading = beside.submit(_session, graph)
            with needs_extra("retrieval"):
                from tokenizers import Tokenizer
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
            self._session = loading.result()
        self._tokenizer.no_padding()  # the file may have padding to 128 baked in
        self._tokenizer.enable_truncation(max_tokens)
        self._characters = characters
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def embed(self, texts: Sequence[str]) -> Any:
        """One unit vector per text, float32 [texts, dimension].

        Each text is a run of its own: activations are quantised by their range in a run, so that
        a text's vector would change with its neighbours in a batch; and nothing is padded.
        """
        if self._characters is not None:
            texts = [text.translate(self._characters) for text in texts]
        encoded = [item.ids for item in self._tokenizer.encode_batch_fast(list(texts))]
        run = self._pool.map if self._pool else map
        vectors = list(run(self._run, encoded))
        return np.stack(vectors) if vectors else np.zeros((0, 0), np.float32)

    def vocabulary(self) -> list[str]:
        """Every token as text, by id; pieces within words without their mark."""
        by_id = sorted(self._tokenizer.get_vocab(with_added_tokens=True).items(), key=_second)
        return [token.removeprefix("##") for token, _ in by_id]

    def _run(self, ids: list[int]) -> Any:
        tokens: Any = np.array([ids], np.int64)
        inputs = {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}
        (vectors,) = self._session.run(None, inputs)
        return vectors[0]


def _session(graph: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(
            f"{graph} cannot be loaded: {error}",
            hint=f"delete the folder {graph.parent}; it is made anew",
        ) from error


def _second(pair: tuple[str, int]) -> int:
    return pair[1]
