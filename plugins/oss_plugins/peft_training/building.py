"""Puts a job's trainer together: tokens, model, method, watcher."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oss.contracts.adapter import TrainNotice
from oss.contracts.errors import UsageError
from oss_plugins.peft_training.methods import OVER_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from transformers import Trainer

    from oss.contracts.adapter import Trained, TrainEvent, TrainJob, TrainSettings
    from oss_plugins.peft_training.methods import PeftMethod


def train(
    method: PeftMethod,
    job: TrainJob,
    report: Callable[[TrainEvent], None],
    stop: Callable[[], bool],
) -> Trained:
    """Train a job to the end, or to where it is stopped."""
    from transformers import set_seed

    from oss_plugins.peft_training.base import load_config, load_model, load_tokenizer
    from oss_plugins.peft_training.encoding import EncodedSet, encode
    from oss_plugins.peft_training.reporting import where_logged
    from oss_plugins.peft_training.running import free_memory, quiet, run, settled_digest
    from oss_plugins.peft_training.supervised import supervised
    from oss_plugins.peft_training.verifying import compare_saved, probe
    from oss_plugins.peft_training.watching import Watch

    config = load_config(job.base)
    tokenizer = load_tokenizer(job.base, config)
    over_tokens = job.objective in OVER_TOKENS
    rows = held_out = EncodedSet([])
    if over_tokens:
        rows = encode(tokenizer, job.rows, job.settings.max_length)
        if job.held_out:
            held_out = encode(tokenizer, job.held_out, job.settings.max_length)
    if job.settings.packing and config.model_type == "gpt_oss":
        raise UsageError(
            "packing lets rows see each other in gpt-oss, whose attention has no block masks",
            hint="set train.packing = false",
        )
    said: set[str] = set()

    def say(notices: tuple[str, ...]) -> None:
        for notice in notices:
            if notice not in said:
                said.add(notice)
                report(TrainNotice(notice))

    if shown := where_logged(job.settings.report_to, job.work):
        say((shown,))
    say(rows.notices)
    say(tuple(f"held-out: {notice}" for notice in held_out.notices))
    settled = settled_digest(job)

    def build(settings: TrainSettings) -> Trainer:
        with quiet():
            model = load_model(job.base, settings.precision, four_bits=method.four_bits)
            set_seed(settings.seed)
            trained, notices = method.apply(model, job)
            say(notices)
            watch = Watch(report, stop, job.work / "metrics.jsonl", settled)
            parts: dict[str, Any] = {
                "extra": method.callbacks(trained),
                "optimizer": method.optimizer(trained, job.options, settings),
            }
            if over_tokens:
                return supervised(
                    job, settings, trained, tokenizer, rows.rows, held_out.rows, watch, **parts
                )
            from oss_plugins.peft_training.preferences import preference_trainer

            return preference_trainer(job, settings, trained, tokenizer, watch, **parts)

    logits: list[Any] = []

    def save(trainer: Trainer, out: Path) -> None:
        whole = gathered(trainer)
        if trainer.is_world_process_zero():
            out.mkdir(parents=True, exist_ok=True)
            method.save(trainer, job, out, whole)
            if whole is None:
                logits.append(probe(trainer.accelerator.unwrap_model(trainer.model)))

    done = run(job, build, save, report)
    if not logits:
        return done  # stopped; or this process has only parts of the model, or no adapter
    report(TrainNotice("loading the adapter again to see what it does"))
    free_memory()
    return replace(done, verified=compare_saved(method, job, logits[0]))


def gathered(trainer: Trainer) -> dict[str, Any] | None:
    """The weights of a model that lies in parts on several processes, all of which must call this;
    ``None`` where each process has it whole.
    """
    if not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        return None
    whole: dict[str, Any] = trainer.accelerator.get_state_dict(trainer.model)
    if trainer.is_deepspeed_enabled:
        # Else the base, which one process loads to check the adapter, would be loaded in parts.
        from transformers.integrations import unset_hf_deepspeed_config

        unset_hf_deepspeed_config()
    return whole
