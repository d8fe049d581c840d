"""The training loop: TRL's trainers, watched, resumable, with a batch that shrinks to fit."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from oss.adapters.room import full_disk
from oss.contracts.adapter import Trained, TrainNotice
from oss.contracts.errors import ModelError, UsageError
from oss_plugins.peft_training.checkpoints import (
    clear_checkpoints,
    digest_of,
    settled_of,
    step_of,
    whole_checkpoints,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from transformers import Trainer

    from oss.contracts.adapter import TrainEvent, TrainJob, TrainSettings

    Build = Callable[[TrainSettings], Trainer]

_NO_MEMORY = ("can't allocate memory", "out of memory", "not enough memory", "bad_alloc")


def run(
    job: TrainJob,
    build: Build,
    save: Callable[[Trainer, Path], None],
    report: Callable[[TrainEvent], None],
) -> Trained:
    """Train to the end, or to where a person stops it.

    :param build: makes the trainer, model included; called again with a smaller batch when the
        memory does not suffice.
    :param save: writes what was trained into a folder.
    """
    began = time.perf_counter()
    job.work.mkdir(parents=True, exist_ok=True)
    settled = settled_digest(job)
    checkpoint = _start(job, settled, report)
    settings = job.settings
    while True:
        trainer = None
        try:
            with quiet():
                trainer = build(settings)
                before = _look(trainer) if job.held_out else {}
                if before and trainer.args.world_size > 1:
                    # A look prepares the model for evaluation, and training would take it as it
                    # is: each process would then learn alone, without a word.
                    trainer = build(settings)
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
                watch = watch_of(trainer)
                if watch.stopped:
                    return _trained(trainer, settings, began, before, {}, complete=False)
                after = _look(trainer) if job.held_out else {}
                save(trainer, job.out)
            return _trained(trainer, settings, began, before, after, complete=True)
        except (RuntimeError, MemoryError, OSError, SafetensorError) as error:
            hint = "make room and go on with `--resume`: the last whole checkpoint is kept"
            if full := full_disk(error, job.work, hint):
                raise full from error
            if not _is_out_of_memory(error):
                raise
            del trainer
            error.__traceback__ = None  # frees the tensors that its frames hold
        settings = _smaller(settings)
        free_memory()
        found = whole_checkpoints(job.work)
        checkpoint = found[0] if found else None
        report(
            TrainNotice(
                f"out of memory: going on with batch {settings.batch} and accumulation "
                f"{settings.accumulation}, which learns the same"
            )
        )


def settled_digest(job: TrainJob) -> str:
    """What may not change between the parts of one run: data, method, and settings but for the
    batch, which memory may halve.
    """
    settings = replace(
        job.settings,
        batch=job.settings.batch * job.settings.accumulation,
        accumulation=1,
        report_to=(),
        save_every=0,
    )
    rows = [(str(row.origin), row.kind) for row in job.rows]
    base = (str(job.base), job.teacher, job.start)
    return digest_of(job.method, job.objective, base, settings, dict(job.options), rows)


def _start(job: TrainJob, settled: str, report: Callable[[TrainEvent], None]) -> Path | None:
    found = whole_checkpoints(job.work)
    if not job.resume:
        if int(os.environ.get("RANK", "0")):
            return None  # the first of several processes clears for all
        clear_checkpoints(job.work)
        (job.work / "metrics.jsonl").unlink(missing_ok=True)
        return None
    if not found:
        raise UsageError(
            f"there is no checkpoint of '{job.name}' to go on from", hint="leave --resume out"
        )
    if settled_of(found[0]) != settled:
        raise UsageError(
            f"the checkpoint of '{job.name}' was made with other data or other settings",
            hint="bring them back, or leave --resume out to start anew",
        )
    # Trainers make a step too many from the checkpoint of the last one, which is there where only
    # the end of a run failed: what came before it is repeated.
    before_end = [each for each in found if step_of(each) < job.settings.steps]
    if not before_end:
        report(TrainNotice("going on from the start: there is no checkpoint before the last step"))
        return None
    report(TrainNotice(f"going on from step {step_of(before_end[0])}"))
    return before_end[0]


def watch_of(trainer: Trainer) -> Any:
    """The watcher among a trainer's callbacks."""
    from oss_plugins.peft_training.watching import Watch

    return next(c for c in trainer.callback_handler.callbacks if isinstance(c, Watch))


def _look(trainer: Trainer) -> dict[str, float]:
    """The figures of the held-out rows, less those of speed."""
    trainer.evaluate()
    # What TRL measures beside the loss stands in its log, not in what it returns.
    records = reversed(trainer.state.log_history)
    return {
        key.removeprefix("eval_"): float(value)
        for key, value in next(record for record in records if "eval_loss" in record).items()
        if key.startswith("eval_")
        and isinstance(value, (int, float))
        and not key.endswith(("runtime", "per_second", "preparation_time", "num_tokens"))
    }


def _trained(
    trainer: Trainer,
    settings: TrainSettings,
    began: float,
    before: dict[str, float],
    after: dict[str, float],
    *,
    complete: bool,
) -> Trained:
    watch = watch_of(trainer)
    return Trained(
        steps=trainer.state.global_step,
        complete=complete,
        loss=watch.losses[-1] if watch.losses else float("nan"),
        held_out_before=before.get("loss"),
        held_out_after=after.get("loss"),
        evaluation=after,
        seconds=time.perf_counter() - began + watch.before,
        tokens=watch.tokens,
        batch=settings.batch,
        accumulation=settings.accumulation,
        versions=versions(),
    )


def versions() -> dict[str, str]:
    """The versions of the libraries that trained."""
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "transformers", "peft", "trl", "accelerate")}


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or any(word in str(error) for word in _NO_MEMORY)


def _smaller(settings: TrainSettings) -> TrainSettings:
    if settings.batch == 1:
        raise ModelError(
            "out of memory with a batch of 1",
            hint="set train.checkpointing = true, a smaller train.max_length or a smaller r",
        )
    total = settings.batch * settings.accumulation
    batch = settings.batch // 2
    while total % batch:
        batch -= 1
    return replace(settings, batch=batch, accumulation=total // batch)


def free_memory() -> None:
    """Let go of what nothing refers to any more, trainers with their cycles too."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' own bars and remarks off the terminal; errors come through."""
    import transformers

    level = transformers.logging.get_verbosity()
    loggers = [logging.getLogger(name) for name in ("trl", "accelerate", "peft")]
    levels = [logger.level for logger in loggers]
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if "datasets" in sys.modules:  # a plan has no need of it, and it takes a second to import
        sys.modules["datasets"].disable_progress_bars()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            transformers.logging.set_verbosity(level)
            for logger, old in zip(loggers, levels, strict=True):
                logger.setLevel(old)
