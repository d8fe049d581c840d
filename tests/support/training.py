"""Rows to learn from, and a recorder of what training reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oss.contracts.adapter import TrainNotice, TrainStep
from oss.contracts.messages import Message
from oss.data import Conversation, Origin
from oss_plugins.peft_training import METHODS

if TYPE_CHECKING:
    from oss.contracts.adapter import TrainEvent, TrainJob

HERE = [name for name, *_ in METHODS if name != "qlora"]
"""Methods that train without a GPU."""


def chats(count: int = 12, answer: str = "Ahoy {n}!") -> list[Conversation]:
    """Short conversations, one like the other."""
    return [
        Conversation(
            (Message("user", f"say {n}"), Message("assistant", answer.format(n=n))),
            Origin("test.jsonl", n + 1),
        )
        for n in range(count)
    ]


class Recorder:
    """Keeps what training reports; asks to stop after a step, if told to."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.events: list[TrainEvent] = []
        self.stop_after = stop_after

    def __call__(self, event: TrainEvent) -> None:
        self.events.append(event)

    def stop(self) -> bool:
        """Whether the step to stop after is done."""
        return self.stop_after is not None and len(self.losses) + 1 >= self.stop_after

    @property
    def losses(self) -> list[float]:
        """The loss of each step."""
        return [event.loss for event in self.events if isinstance(event, TrainStep)]

    @property
    def notices(self) -> str:
        """What was said, in lines."""
        return "\n".join(e.message for e in self.events if isinstance(e, TrainNotice))


def train(job: TrainJob, recorder: Recorder | None = None) -> Any:
    """Train by the job's method; what it says of the adapter that it made."""
    from oss_plugins.peft_training.methods import method_of

    recorder = recorder or Recorder()
    return method_of(job.method).train(job, recorder, recorder.stop)
