"""How long a run would take, by a few of its steps."""

from __future__ import annotations

import contextlib
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from oss.contracts.adapter import TrainStep

if TYPE_CHECKING:
    from oss.adapters.training import Prepared
    from oss.contracts.adapter import TrainEvent, TrainPlan

STEPS = 4


class _EnoughError(Exception):
    """The steps are timed."""


class _Timer:
    """Times each step but the first, which warms up."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.tokens: list[int] = []

    def __call__(self, event: TrainEvent) -> None:
        if not isinstance(event, TrainStep):
            return
        self.ends.append(time.perf_counter())
        self.tokens.append(event.tokens)
        if event.step >= min(STEPS, event.steps):
            raise _EnoughError


def seconds_of(prepared: Prepared, plan: TrainPlan) -> float | None:
    """Seconds that all steps would take, by :data:`STEPS` of them; ``None`` for fewer than two.

    The model is loaded and trained for those steps; nothing is kept.

    :raises OssError: as training would.
    """
    settings = replace(
        prepared.job.settings, save_every=0, evaluate_every=0, patience=0, report_to=()
    )
    timer = _Timer()
    with tempfile.TemporaryDirectory() as folder:
        job = replace(
            prepared.job,
            settings=settings,
            held_out=(),
            work=Path(folder, "work"),
            out=Path(folder, "out"),
            resume=False,
        )
        with contextlib.suppress(_EnoughError):
            prepared.method.train(job, timer, lambda: False)
    if len(timer.ends) < 2:
        return None
    seconds, tokens = timer.ends[-1] - timer.ends[0], sum(timer.tokens[1:])
    if not tokens:
        return seconds / (len(timer.ends) - 1) * plan.steps
    # By tokens, not by steps: where rows are grouped by length the first steps are the longest.
    return seconds / tokens * plan.tokens * plan.epochs
