"""llama.cpp's C interface as llama-cpp-python declares it, in the few steps that chat needs.

The binding's own ``Llama`` class is passed by: it keeps one sequence (a second conversation
evicts the first), drops the special tokens by which gpt-oss parts thinking from answer, and
stores the logits of the whole context to report a few.
"""

from __future__ import annotations

import ctypes
from collections import deque
from typing import TYPE_CHECKING, Any

import llama_cpp
import numpy as np

from oss.contracts.errors import BackendError, ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.contracts.adapter import AdapterRef
    from oss_plugins.llamacpp.settings import Settings

_ERROR = 4  # GGML_LOG_LEVEL_ERROR of ggml.h
_errors: deque[str] = deque(maxlen=8)


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _log(level: int, text: bytes, _: Any) -> None:
    if level == _ERROR:
        _errors.append(text.decode("utf-8", "replace").strip())


class NoRoomError(Exception):
    """The context has no room for the tokens."""


class Native:
    """A loaded model and its context, with several sequences over one pool of cells.

    Not thread safe, except for what touches the vocabulary alone.

    :raises ModelError: the model, the context or an adapter cannot be loaded; the hint has
        llama.cpp's last words.
    """

    def __init__(self, path: str, adapters: Sequence[AdapterRef], settings: Settings) -> None:
        llama_cpp.llama_log_set(_log, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        _errors.clear()
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), _model_params(settings))
        if not self.model:
            raise _failure(f"llama.cpp cannot load '{path}'")
        self.context = llama_cpp.llama_init_from_model(self.model, _context_params(settings))
        if not self.context:
            llama_cpp.llama_model_free(self.model)
            raise _failure(f"llama.cpp has no memory for a context of {settings.context} tokens")
        self._adapters: list[Any] = []
        for adapter in adapters:
            loaded = llama_cpp.llama_adapter_lora_init(self.model, str(adapter.path).encode())
            if not loaded:
                self.close()
                raise _failure(f"llama.cpp cannot load the adapter '{adapter.path}'")
            self._adapters.append(loaded)
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)
        self.vocabulary: int = llama_cpp.llama_vocab_n_tokens(self.vocab)
        self.size: int = llama_cpp.llama_n_ctx(self.context)
        self.batch = settings.micro_batch

    def close(self) -> None:
        """Free everything; adapters go with their model."""
        llama_cpp.llama_free(self.context)
        llama_cpp.llama_model_free(self.model)

    def chat_template(self) -> str:
        """The model's own chat template, or nothing."""
        found = llama_cpp.llama_model_chat_template(self.model, None)
        return found.decode() if found else ""

    def special(self, kind: str) -> str:
        """The text of the ``bos`` or ``eos`` token."""
        token = getattr(llama_cpp, f"llama_vocab_{kind}")(self.vocab)
        return self.piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""

    def tokenize(self, text: str) -> list[int]:
        """Tokens of a prompt; special tokens in it are read as such."""
        data = text.encode()
        bos = self.special("bos")
        begin = not (bos and text.startswith(bos))
        room = len(data) + 2
        tokens = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(self.vocab, data, len(data), tokens, room, begin, True)
        return list(tokens[:count])

    def piece(self, token: int, *, special: bool) -> bytes:
        """The bytes that a token stands for; nothing for a special one unless asked."""
        buffer = ctypes.create_string_buffer(256)
        size = llama_cpp.llama_token_to_piece(self.vocab, token, buffer, 256, 0, special)
        return buffer.raw[: max(0, size)]

    def ends(self, token: int) -> bool:
        """Whether a token ends the answer."""
        return bool(llama_cpp.llama_vocab_is_eog(self.vocab, token))

    def set_scales(self, scales: Sequence[float]) -> None:
        """Let the adapters act this strongly from here on."""
        if not self._adapters:
            return
        count = len(self._adapters)
        pointers = (llama_cpp.llama_adapter_lora_p_ctypes * count)(*self._adapters)
        llama_cpp.llama_set_adapters_lora(
            self.context, pointers, count, (ctypes.c_float * count)(*scales)
        )

    def keep(self, sequence: int, count: int) -> bool:
        """Forget a sequence from position ``count`` on; ``False`` where the model cannot."""
        return bool(llama_cpp.llama_memory_seq_rm(self.memory, sequence, count, -1))

    def copy(self, source: int, target: int) -> None:
        """Let ``target`` begin as all of ``source``; they share cells."""
        llama_cpp.llama_memory_seq_rm(self.memory, target, -1, -1)
        llama_cpp.llama_memory_seq_cp(self.memory, source, target, -1, -1)

    def decode(self, tokens: Sequence[int], start: int, sequence: int) -> None:
        """Evaluate tokens at positions from ``start``; the logits of the last are kept.

        :raises NoRoomError: the cells are used up.
        :raises BackendError: llama.cpp failed.
        """
        count = len(tokens)
        batch = llama_cpp.llama_batch_init(count, 0, 1)
        try:
            batch.n_tokens = count
            for index, token in enumerate(tokens):
                batch.token[index] = token
                batch.pos[index] = start + index
                batch.n_seq_id[index] = 1
                batch.seq_id[index][0] = sequence
                batch.logits[index] = index == count - 1
            result = llama_cpp.llama_decode(self.context, batch)
        finally:
            llama_cpp.llama_batch_free(batch)
        if result == 1:
            raise NoRoomError
        if result != 0:
            raise BackendError(f"llama.cpp failed to evaluate ({result})", hint=_last_words())

    def logits(self) -> np.ndarray[Any, Any]:
        """The logits of the token evaluated last; a view, gone with the next evaluation."""
        pointer = llama_cpp.llama_get_logits_ith(self.context, -1)
        found: np.ndarray[Any, Any] = np.ctypeslib.as_array(pointer, shape=(self.vocabulary,))
        return found


def _failure(message: str) -> ModelError:
    return ModelError(message, hint=_last_words())


def _last_words() -> str | None:
    return " / ".join(list(_errors)[-3:]) or None


def _model_params(settings: Settings) -> Any:
    params = llama_cpp.llama_model_default_params()
    params.n_gpu_layers = settings.gpu_layers
    params.load_mode = {
        (True, True): llama_cpp.LLAMA_LOAD_MODE_MMAP_MLOCK,
        (True, False): llama_cpp.LLAMA_LOAD_MODE_MMAP,
        (False, True): llama_cpp.LLAMA_LOAD_MODE_MLOCK,
        (False, False): llama_cpp.LLAMA_LOAD_MODE_NONE,
    }[settings.mmap, settings.mlock]
    return params


def _context_params(settings: Settings) -> Any:
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = settings.context
    params.n_batch = settings.batch
    params.n_ubatch = min(settings.micro_batch, settings.batch)
    params.n_seq_max = settings.slots
    params.n_threads = settings.threads
    params.n_threads_batch = settings.threads
    params.flash_attn_type = {
        "auto": llama_cpp.LLAMA_FLASH_ATTN_TYPE_AUTO,
        "on": llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED,
        "off": llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED,
    }[settings.flash_attention]
    cache_type = getattr(llama_cpp, f"GGML_TYPE_{settings.kv_cache.upper()}")
    params.type_k = cache_type
    params.type_v = cache_type
    params.kv_unified = True
    params.swa_full = True  # a window that has moved on could not be taken up again
    return params
