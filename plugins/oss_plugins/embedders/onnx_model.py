"""Runs an encoder's graph: texts in, vectors out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ModelError
from oss.retrieval.extras import needs_extra

with needs_extra("retrieval"):
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_BATCH_TOKENS = 4096
"""Tokens in one run, padding included: more gain no speed and cost memory."""


class OnnxModel:
    """A graph and its tokenizer, loaded; blocking calls, safe from several threads.

    :param max_tokens: longer texts are cut.
    :param threads: of the runtime; 0 is one for each core.
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
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that spin between two short runs take the processor from everyone else.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(graph), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ModelError(
                f"{graph} cannot be loaded: {error}",
                hint=f"delete the folder {graph.parent}; it is made anew",
            ) from error
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()  # the file may have padding to 128 baked in
        self._tokenizer.enable_truncation(max_tokens)
        self._characters = characters

    def embed(self, texts: Sequence[str]) -> Any:
        """One unit vector per text, float32 [texts, dimension]; like lengths share a run."""
        if self._characters is not None:
            texts = [text.translate(self._characters) for text in texts]
        encoded = [item.ids for item in self._tokenizer.encode_batch_fast(list(texts))]
        order = sorted(range(len(encoded)), key=lambda i: -len(encoded[i]))
        vectors: list[Any] = [None] * len(encoded)
        start = 0
        while start < len(order):
            size = max(1, _BATCH_TOKENS // len(encoded[order[start]]))
            batch = order[start : start + size]
            for position, vector in zip(batch, self._run([encoded[i] for i in batch]), strict=True):
                vectors[position] = vector
            start += size
        return np.stack(vectors) if vectors else np.zeros((0, 0), np.float32)

    def vocabulary(self) -> list[str]:
        """Every token as text, by id; pieces within words without their mark."""
        by_id = sorted(self._tokenizer.get_vocab(with_added_tokens=True).items(), key=_second)
        return [token.removeprefix("##") for token, _ in by_id]

    def _run(self, encoded: list[list[int]]) -> Any:
        length = len(encoded[0])
        tokens: Any = np.zeros((len(encoded), length), np.int64)
        mask: Any = np.zeros((len(encoded), length), np.int64)
        for row, ids in enumerate(encoded):
            tokens[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        (vectors,) = self._session.run(None, {"input_ids": tokens, "attention_mask": mask})
        return vectors


def _second(pair: tuple[str, int]) -> int:
    return pair[1]
