"""Watches a trainer: reports each step, stops when asked, refuses to learn from NaN."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

from oss.contracts.adapter import TrainEvaluated, TrainNotice, TrainStep
from oss.contracts.errors import OssError
from oss_plugins.peft_training.checkpoints import mark_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import TrainerControl, TrainerState, TrainingArguments

    from oss.contracts.adapter import TrainEvent

_WARM = 3  # steps before a time per step is believed


class DivergedError(OssError):
    """The loss or a gradient is no longer a number; the weights were not touched by it."""


class Watch(TrainerCallback):
    """Turns what a trainer logs into events, and a person's wish to stop into a checkpoint.

    :ivar stopped: whether a person asked to stop.
    :ivar losses: the loss of every step of this process.
    :ivar tokens: learned from in all, the steps before a resumed run with them.
    :ivar before: seconds that these steps took.
    """

    def __init__(
        self,
        report: Callable[[TrainEvent], None],
        stop: Callable[[], bool],
        metrics: Path,
        settled: str,
    ) -> None:
        self.report = report
        self.stop = stop
        self.metrics = metrics
        self.settled = settled
        self.stopped = False
        self.losses: list[float] = []
        self.tokens = 0
        self.before = 0.0
        self.best: float | None = None
        self._seen = 0.0
        self._writes = int(os.environ.get("RANK", "0")) == 0
        self._began = 0.0
        self._times: deque[float] = deque(maxlen=20)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Drop the metrics of steps that a resumed run repeats; count what those before took."""
        self._writes = state.is_world_process_zero
        if self._writes and self.metrics.exists():
            records = map(json.loads, self.metrics.read_text("utf-8").splitlines())
            kept = [record for record in records if record["step"] <= state.global_step]
            steps = [record for record in kept if record.get("tokens")]
            self.tokens = sum(record["tokens"] for record in steps)
            self.before = sum(
                record["tokens"] / record["tokens_per_second"]
                for record in steps
                if record["tokens_per_second"]
            )
            lines = "".join(f"{json.dumps(record)}\n" for record in kept)
            self.metrics.write_text(lines, "utf-8")

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clock of a step."""
        self._began = time.perf_counter()

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: torch.nn.Module,
        **_: Any,
    ) -> None:
        """Refuse gradients that would turn the weights into NaN.

        :raises DivergedError: a gradient is not finite.
        """
        grads = [p.grad.detach() for p in model.parameters() if p.grad is not None]
        # Of a weight in parts (FSDP2) each process looks at its own.
        sums = [(g.to_local() if hasattr(g, "to_local") else g).sum() for g in grads]
        if sums and not torch.isfinite(torch.stack([s.float() for s in sums])).all():
            raise diverged("a gradient", state.global_step, args.learning_rate)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Time the step, and ask whether to go on."""
        self._times.append(time.perf_counter() - self._began)
        if self.stop() and not self.stopped:
            self.stopped = True
            control.should_save = True
            control.should_training_stop = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Report and keep the figures of one step."""
        if not logs or "loss" not in logs:
            return
        total = float(logs.get("num_tokens", self._seen))
        tokens, self._seen = max(0, int(total - self._seen)), total
        self.tokens += tokens
        self.losses.append(float(logs["loss"]))
        spent = self._times[-1] if self._times else 0.0
        mean = sum(self._times) / len(self._times) if len(self._times) >= _WARM else None
        known = {"loss", "learning_rate", "grad_norm", "epoch", "num_tokens"}
        step = TrainStep(
            step=state.global_step,
            steps=state.max_steps,
            loss=float(logs["loss"]),
            learning_rate=float(logs.get("learning_rate", 0.0)),
            gradient=float(logs.get("grad_norm", 0.0)),
            epoch=float(logs.get("epoch", 0.0)),
            tokens=tokens,
            tokens_per_second=tokens / spent if spent else 0.0,
            seconds_left=None if mean is None else mean * (state.max_steps - state.global_step),
            extra={
                key: float(value)
                for key, value in logs.items()
                if key not in known and isinstance(value, (int, float))
            },
        )
        self._write(
            {
                "step": step.step,
                "loss": step.loss,
                "learning_rate": step.learning_rate,
                "gradient": step.gradient,
                "epoch": step.epoch,
                "tokens": step.tokens,
                "tokens_per_second": round(step.tokens_per_second, 2),
                **step.extra,
            }
        )
        self.report(step)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Report the held-out loss."""
        loss = (metrics or {}).get("eval_loss")
        if loss is None:
            return
        best = self.best is None or loss < self.best
        self.best = loss if best else self.best
        self._write({"step": state.global_step, "held_out_loss": loss})
        self.report(TrainEvaluated(state.global_step, loss, best))

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Mark the checkpoint as whole; one without the mark is never resumed from."""
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            mark_whole(folder, self.settled)
            self.report(TrainNotice(f"checkpoint at step {state.global_step}"))

    def _write(self, record: dict[str, Any]) -> None:
        if not self._writes:
            return  # one of several processes writes for all
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def diverged(what: str, step: int, rate: float) -> DivergedError:
    """The error for a number that is none."""
    return DivergedError(
        f"training diverged: {what} is not a number at step {step + 1}; the weights of step {step} "
        "are untouched",
        hint=f"lower train.learning_rate (now {rate:g}), or raise train.warmup; what was saved "
        "before is kept: `--resume` goes on from it",
    )


class FiniteLoss:
    """Mixed into a trainer: checks each loss before it is stepped on."""

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """One forward and backward pass.

        :raises DivergedError: the loss is not finite.
        """
        loss: torch.Tensor = super().training_step(*args, **kwargs)  # type: ignore[misc]
        if not torch.isfinite(loss):
            trainer: Any = self
            raise diverged("the loss", trainer.state.global_step, trainer.args.learning_rate)
        return loss

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the adapter's own card says more, and a checkpoint needs none."""
