"""How training is shown: a bar on a terminal, a line now and then elsewhere; all on stderr."""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from oss.contracts.adapter import TrainEvaluated, TrainNotice, TrainStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from typing_extensions import Self

    from oss.contracts.adapter import TrainEvent

_LINES = 20  # lines of progress where there is no terminal


class TrainProgress:
    """Shows what training reports."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._said = -1
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def report(self, event: TrainEvent) -> None:
        """Show one event."""
        if isinstance(event, TrainNotice):
            self.say(event.message)
        elif isinstance(event, TrainEvaluated):
            best = ", the best so far" if event.best and event.step else ""
            self.say(f"step {event.step}: loss on held-out examples {event.loss:.3f}{best}")
        elif self._terminal:
            self._show(event)
        elif (mark := event.step * _LINES // event.steps) != self._said:
            self._said = mark
            click.echo(f"step {event.step}/{event.steps}  {_figures(event)}", err=True)

    def say(self, text: str) -> None:
        """A line above the bar."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
        else:
            click.echo(text, err=True)

    def _show(self, event: TrainStep) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            self._bar = Progress(
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.description}"),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task("", total=event.steps)
            self._bar.start()
        self._bar.update(self._task, completed=event.step, description=_figures(event))


def _figures(event: TrainStep) -> str:
    left = "" if event.seconds_left is None else f"  {duration(event.seconds_left)} left"
    return f"loss {event.loss:.3f}  {event.tokens_per_second:.0f} tokens/s{left}"


def duration(seconds: float) -> str:
    """As ``m:ss``, or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextlib.contextmanager
def stop_on_interrupt(progress: TrainProgress) -> Iterator[Callable[[], bool]]:
    """A first Ctrl-C (or SIGTERM) asks to save and stop; a second one stops at once."""
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        progress.say("stopping after this step; Ctrl-C again loses what came after the last save")

    old = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
