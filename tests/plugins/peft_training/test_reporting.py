"""Training logged elsewhere too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import ConfigError
from oss_plugins.peft_training.methods import method_of
from support.training import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from oss.contracts.adapter import TrainJob

    MakeJob = Callable[..., TrainJob]


def test_tensorboard_shows_the_losses(llama: Path, make_job: MakeJob) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    recorder = Recorder()
    job = make_job(llama, report_to=("tensorboard",))
    method_of("lora").train(job, recorder, recorder.stop)
    assert f"tensorboard --logdir {job.work / 'runs'}" in recorder.notices
    (folder,) = (job.work / "runs").iterdir()
    shown = accumulator.EventAccumulator(str(folder)).Reload()
    losses = [event.value for event in shown.Scalars("train/loss")]
    assert losses == pytest.approx(recorder.losses, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "words", "hint"),
    [("tensorbord", "is unknown", "'tensorboard'"), ("comet_ml", "not installed", "pip install")],
)
def test_what_cannot_be_logged_to_is_refused_before_anything_is_loaded(
    llama: Path, make_job: MakeJob, name: str, words: str, hint: str
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        method_of("lora").plan(make_job(llama, report_to=(name,)))
    assert hint in str(caught.value.hint)
