"""The thread that owns the model: takes waiting requests and answers them in batches."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from oss.contracts.errors import BackendError, EngineDiedError
from oss.engines.bridge import as_death

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from oss_plugins.hf_transformers.loading import Loaded
    from oss_plugins.hf_transformers.row import Row


class Worker:
    """Answers rows, oldest first, together with those that wait with the same adapter scales.

    A request that comes while a batch runs waits for its end. When the thread is ended from
    outside, everything that it was to answer gets an :class:`EngineDiedError`.

    :param batch: the most rows at once.
    """

    def __init__(self, loaded: Loaded, batch: int) -> None:
        self._loaded = loaded
        self._batch = batch
        self._waiting: deque[Row | Callable[[], None]] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._running: list[Row] = []
        self._thread = threading.Thread(target=self._run, daemon=True, name="oss-transformers")
        self._thread.start()

    def submit(self, work: Row | Callable[[], None]) -> None:
        """Queue a row, or a function that needs the model for itself.

        :raises BackendError: the engine is closed.
        """
        with self._wake:
            self.check()
            if self._closed:
                raise BackendError("the engine is closed")
            self._waiting.append(work)
            self._wake.notify()

    def check(self) -> None:
        """See that the thread lives.

        :raises EngineDiedError: it does not, and no one has closed it.
        """
        if not self._closed and not self._thread.is_alive():
            raise EngineDiedError(
                "the engine's thread is gone", hint="ask again: a new engine is started"
            )

    def close(self) -> None:
        """End what runs at its next token, refuse what waits, and wait for the thread."""
        with self._wake:
            self._closed = True
            for row in self._running:
                row.cancelled = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  told to the readers
            with self._wake:
                left = [*self._running, *(each for each in self._waiting if not callable(each))]
                self._waiting.clear()
            self._fail(left, as_death(error))

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._closed:
                    self._wake.wait()
                if self._closed:
                    break
                work = self._waiting.popleft()
                rows = [] if callable(work) else self._alike(work)
                self._running = rows
            if callable(work):
                work()
            else:
                self._answer(rows)
        for work in self._waiting:
            if not callable(work):
                work.emit(BackendError("the engine was closed"))

    def _alike(self, first: Row) -> list[Row]:
        rows = [first]
        for other in list(self._waiting):
            if len(rows) == self._batch:
                break
            if not callable(other) and other.scales == first.scales:
                rows.append(other)
                self._waiting.remove(other)
        return rows

    def _answer(self, rows: list[Row]) -> None:
        rows = [row for row in rows if not row.cancelled]
        if not rows:
            return
        try:
            self._loaded.set_scales(rows[0].scales)
            self._generate(rows)
        except torch.OutOfMemoryError as error:
            failure = BackendError("the GPU has not enough memory for this batch")
            failure.__cause__ = error
            self._fail(rows, failure)
        except Exception as error:  # noqa: BLE001  raised again in the readers
            self._fail(rows, error)

    def _fail(self, rows: Sequence[Row], error: Exception) -> None:
        for row in rows:
            if not row.done:
                row.done = True
                row.emit(error)

    def _generate(self, rows: list[Row]) -> None:
        model = self._loaded.model
        width = max(len(row.ids) for row in rows)
        pad = min(self._loaded.eos, default=0)
        ids = torch.full((len(rows), width), pad, device=model.device)
        mask = torch.zeros_like(ids)
        for index, row in enumerate(rows):
            row.start()
            ids[index, width - len(row.ids) :] = torch.tensor(row.ids, device=model.device)
            mask[index, width - len(row.ids) :] = 1
        config = GenerationConfig(
            do_sample=False,
            num_beams=1,
            repetition_penalty=1.0,
            max_new_tokens=max(row.limit for row in rows),
            pad_token_id=pad,
            use_cache=True,
        )
        with torch.inference_mode():
            model.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=config,
                logits_processor=LogitsProcessorList([_Chooser(rows)]),
                stopping_criteria=StoppingCriteriaList([_Done(rows)]),
            )


class _Chooser(LogitsProcessor):  # type: ignore[misc]
    """Lets each row choose its own token: every other one is put at minus infinity."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    def __call__(self, input_ids: Any, scores: Any) -> Any:  # noqa: ARG002  transformers' names
        chosen = torch.full_like(scores, -torch.inf)
        for index, row in enumerate(self._rows):
            token = 0 if row.done else row.choose(scores[index])
            chosen[index, token] = 0.0
        return chosen


class _Done(StoppingCriteria):  # type: ignore[misc]
    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        return torch.tensor([row.done for row in self._rows], device=input_ids.device)
